"""Given replies under plans: divergences and losses against plain forward passes."""

from __future__ import annotations

import pytest
import torch

from steering.model.prompts import render
from steering.passes.forced import read_forced
from steering.writes.interventions import Write
from steering.writes.operations import Add


def test_divergence_and_losses_equal_plain_passes_of_one_reply_at_a_time(tiny_host) -> None:
    host = tiny_host("llama")
    replied = [(render(host, text), ids) for text, ids in (("Hello.", (5, 6, 7)), ("How are you today?", (9,)))]
    direction = torch.nn.functional.normalize(torch.randn(32, generator=torch.Generator().manual_seed(0)), dim=0)
    plan = (Write(Add(direction, 3.0), 1, "block_input"),)
    base, edited = host.run(
        lambda job: (read_forced(host, [()], replied), read_forced(host, [(), plan], replied)), title="read"
    )
    apart = edited.divergence(base)
    assert float(apart[0].max()) == pytest.approx(0, abs=1e-6), "the same plan"
    for row, (prompt, ids) in enumerate(replied):
        used = base.used[row]
        assert int(used.sum()) == len(ids) + 1
        chances = [plain(host, (*prompt.ids, *ids), add) for add in (None, 3.0 * direction)]
        places = range(len(prompt) - 1, len(prompt) + len(ids))
        expected = [float((chances[0][p].exp() * (chances[0][p] - chances[1][p])).sum()) for p in places]
        assert apart[1, row][used].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
        losses = [-float(chances[1][len(prompt) - 1 + place, token]) for place, token in enumerate(ids)]
        assert edited.losses[1, row][used[:-1]].tolist() == pytest.approx(losses, rel=1e-4)
        assert max(expected) > 0.01


def plain(host, ids, offset):
    model = host.model._module
    hook = None
    if offset is not None:
        hook = model.model.layers[1].register_forward_pre_hook(lambda m, args: (args[0] + offset, *args[1:]))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    if hook:
        hook.remove()
    return torch.log_softmax(logits, dim=-1)
