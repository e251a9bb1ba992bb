"""What a training reads and goes back through, held against plain hooks with autograd."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import logsigmoid, normalize

from bench.plain_training import plain_dpo
from steering.training.batches import Objective
from steering.training.course import RATE
from steering.training.losses import LOSSES
from steering.training.scores import KnownTexts
from steering.training.texts import texts_of
from steering.training.trainee import Parameters, Trainee
from steering.training.training import train
from tests.steering.training.support import PAIRS, blocks_of, plain_log_probabilities


CLOSE = {"rtol": 2e-3, "atol": 2e-5}
"""float32 passes of padded batches against single texts: sums over hundreds of tokens differ in the last digits."""


def objective(host, trainee, loss="dpo", *, seed=1, data=PAIRS, **more):
    """A loss on texts that were read, at a direction drawn at random."""
    chosen = LOSSES[loss]
    texts = texts_of(host, data, chosen.kind, others=chosen.shift == "mismatched")
    known = KnownTexts(host, texts.replied, trainee.places)
    known.read(_Quiet())
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(trainee.blocks), trainee.span, host.info.width, generator=generator)
    low = torch.randn(len(trainee.blocks), host.info.width, generator=generator)
    parameters = Parameters(trainee, rows, torch.full((len(rows),), 4.0), low, host.device)
    return Objective(known, texts.examples, parameters, chosen, chosen.settings({}), **more)


class _Quiet:
    def report(self, *said) -> None:
        pass


LAMBDA = 0.3
"""Of a gate's penalty; half-way through it counts by half."""


def written(trainee, parameters, vectors, silent):
    """The write as it stands in a paper, of one block; to `silent` goes what a gate's penalty is of, a text each."""
    rows = vectors[0]
    if trainee.mode == "add":
        return lambda states: states + rows[0]
    if trainee.mode == "ablate":
        # The projection on the span of the rows, by least squares.
        return lambda states: states - states @ torch.linalg.pinv(rows) @ rows
    unit = normalize(rows[0], dim=-1)
    if trainee.mode == "clamp":
        goal = parameters._low[0] @ unit + parameters.values[0] * 4.0
        return lambda states: states + (goal - states @ unit)[..., None] * unit

    def gated(states):
        active = torch.relu(states @ unit)
        ordered = active.sort(dim=1, descending=True).values
        silent.append(ordered[0, trainee.top :].sum() / ordered.shape[1])
        return states + ordered[:, : trainee.top].mean(dim=1)[:, None, None] * unit

    return gated


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("mode", ["add", "ablate", "clamp", "gated_add"])
def test_log_probabilities_and_gradients_are_those_of_plain_hooks_with_autograd(tiny_host, name, mode) -> None:
    host = tiny_host(name)
    trainee = Trainee((1,), mode, span=2 if mode == "ablate" else 1, top=3)

    def work(job):
        made = objective(host, trainee, "reft" if mode == "gated_add" else "dpo")
        made.settings = made.settings | {"lambda": LAMBDA}
        known = made.known
        assert known.block == 2, "passes begin behind the block that is written"
        scores = known.scored(range(len(known.texts)), made.parameters.plan)
        return made, scores, made.measured(range(len(PAIRS)), progress=0.5, gradient=True)

    made, scores, found = host.run(work, title="train")
    parameters, known = made.parameters, made.known
    vectors = parameters.vectors.detach().requires_grad_()
    silent: list[torch.Tensor] = []
    module, bound = blocks_of(host)[1], written(trainee, parameters, vectors, silent)
    plain = plain_log_probabilities(host, module, bound, known.texts)
    bare = [each.detach() for each in plain_log_probabilities(host, module, lambda states: states, known.texts)]
    for row, (own, base) in enumerate(zip(plain, bare, strict=True)):
        used = scores.used[row]
        assert torch.allclose(scores.policy[row][used], own.detach(), rtol=1e-3, atol=1e-4)
        assert torch.allclose(scores.reference[row][used], base, rtol=1e-3, atol=1e-4)
    assert (torch.cat(plain) - torch.cat(bare)).abs().max() > 0.02, "the plan does something"
    if mode == "gated_add":
        assert max(silent) > 0.01, "there is something to be punished"
        own = [0.5 * LAMBDA * silent[each.chosen] - plain[each.chosen].mean() for each in made.examples]
        loss = torch.stack(own).mean()
    else:
        sides = [(each.chosen, each.rejected) for each in made.examples]
        apart = [plain[a].sum() - bare[a].sum() - plain[b].sum() + bare[b].sum() for a, b in sides]
        loss = -logsigmoid(0.1 * torch.stack(apart)).mean()
        assert found.margin == pytest.approx(float(torch.stack(apart).mean().detach()), rel=1e-3, abs=1e-3)
    (slope,) = torch.autograd.grad(loss, vectors)
    assert found.loss == pytest.approx(float(loss.detach()), rel=1e-4)
    assert slope.abs().max() > 1e-4, "there is something to compare"
    assert torch.allclose(found.gradient[0], slope * parameters._unit, **CLOSE)


@pytest.mark.parametrize("site", ["block_input", "attention_output", "mlp_output"])
def test_other_sites_scopes_and_several_blocks_agree_with_small_differences(tiny_host, site) -> None:
    host = tiny_host("llama")

    def work(job):
        made = objective(host, Trainee((1, 2), site=site, scope="generated"))
        assert made.known.block == 1
        found = made.measured(range(4), gradient=True)
        moved = torch.randn(made.parameters.rows.shape, generator=torch.Generator().manual_seed(5))
        ends = []
        for way in (1, -1):
            with torch.no_grad():
                made.parameters.rows += way * 1e-2 * moved
            ends.append(made.measured(range(4)).loss)
            with torch.no_grad():
                made.parameters.rows -= way * 1e-2 * moved
        return float((found.gradient[0] * moved).sum()), (ends[0] - ends[1]) / 2e-2

    foretold, measured = host.run(work, title="train")
    assert abs(measured) > 1e-3
    # float32 losses of size 1 are known to about 1e-6, which a difference over 2e-2 makes 1e-4.
    assert foretold == pytest.approx(measured, rel=0.02, abs=3e-4)


def test_smaller_passes_give_the_same_loss_and_gradient(tiny_host) -> None:
    host = tiny_host("llama")

    def work(job):
        whole = objective(host, Trainee((1,)))
        parts = objective(host, Trainee((1,)), tokens=40)
        assert len(parts._parts(range(4))) > 1
        return [each.measured(range(4), gradient=True) for each in (whole, parts)]

    one, several = host.run(work, title="train")
    assert several.loss == pytest.approx(one.loss, rel=1e-5)
    assert torch.allclose(several.gradient[0], one.gradient[0], rtol=1e-3, atol=1e-6)


def test_a_batch_that_does_not_fit_is_halved_with_the_same_gradient(tiny_host, monkeypatch) -> None:
    host = tiny_host("llama")

    def work(job):
        made = objective(host, Trainee((1,)))
        one, real, sizes = made.measured(range(4), gradient=True), made._part, []

        def short_of_room(part, *others):
            sizes.append(len(part))
            if len(part) > 2:
                raise torch.OutOfMemoryError("no room")
            return real(part, *others)

        monkeypatch.setattr(made, "_part", short_of_room)
        return one, made.measured(range(4), gradient=True), sizes

    one, halved, sizes = host.run(work, title="train")
    assert sizes == [4, 2, 2]
    assert torch.allclose(halved.gradient[0], one.gradient[0], rtol=1e-3, atol=1e-6)


def test_without_kept_states_passes_run_whole_and_say_the_same(tiny_host, monkeypatch) -> None:
    host = tiny_host("gpt2")

    def work(job):
        begun = objective(host, Trainee((1,)))
        assert begun.known._states
        monkeypatch.setattr("steering.training.scores.KEPT", 0)
        whole = objective(host, Trainee((1,)))
        assert not whole.known._states
        return [each.measured(range(4), gradient=True) for each in (begun, whole)]

    begun, whole = host.run(work, title="train")
    assert begun.loss == pytest.approx(whole.loss, rel=1e-5)
    assert torch.allclose(begun.gradient[0], whole.gradient[0], rtol=1e-3, atol=1e-6)


def test_nothing_but_the_vector_gets_a_gradient(tiny_host) -> None:
    host = tiny_host("llama")
    host.run(lambda job: objective(host, Trainee((1,))).measured(range(4), gradient=True), title="train")
    assert all(weight.grad is None for weight in host.model._module.parameters())


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_whole_training_goes_the_way_of_a_plain_loop_with_a_hook(tiny_host, name) -> None:
    host = tiny_host(name)
    begun = train(host, PAIRS, Trainee((1,)), steps=0).vector
    start = begun.directions[1] * begun.mean_differences[1]
    unit = max(begun.mean_differences[1], begun.residual_norms[1] / 10) / host.info.width**0.5
    texts = texts_of(host, PAIRS, "pairs")
    pairs = [
        tuple((texts.replied[side][0].ids, texts.replied[side][1]) for side in (each.chosen, each.rejected))
        for each in texts.examples
    ]
    ours = train(host, PAIRS, Trainee((1,)), steps=6, batch=3, seed=2).vector
    how = {"unit": float(unit), "steps": 6, "batch": 3, "rate": RATE, "seed": 2}
    plain = plain_dpo(host.model._module, blocks_of(host)[1], pairs, start, **how)
    found = ours.directions[1] * ours.mean_differences[1]
    assert (plain - start).norm() > 0.05 * start.norm(), "it has gone somewhere"
    # AdamW divides by the size of a gradient, which makes much of small ones that float32 knows badly.
    assert torch.allclose(found, plain, atol=0.02 * float((plain - start).norm()))
