"""Decoding steps by plain hooks against traced ones, and that nothing else is used where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from steering.model.host import Host
from steering.model.prompts import Prompt, render
from steering.passes import hooked, visitor
from steering.passes.decoding import generate
from steering.passes.gradients import stream_gradients
from steering.passes.hooked import traced_steps
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Coverage, Schedule
from steering.passes.tracing import read_prompts, read_token
from steering.passes.visitor import Route
from steering.writes.interventions import Gate, Plan, Write
from steering.writes.operations import Ablate, Add, Clamp
from tests.steering.passes.test_passes import TEXTS, model_of


STEPS = 5


def unit(seed: int, width: int = 32) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(width, generator=torch.Generator().manual_seed(seed)), dim=0)


def plans() -> list[Plan]:
    """Four rows: none, adds at several sites, a gated clamp, and an ablation of the prompt alone."""
    gate = Gate(unit(3), threshold=0.0, block=0, site="block_output", per="token")
    return [
        (),
        (Write(Add(unit(0), 3.0), 0, "block_input"), Write(Add(unit(1), 2.0), 2, "attention_output")),
        (Write(Clamp(unit(2), 4.0), 1, "mlp_output", gate=gate), Write(Ablate(unit(2)), 3, "block_output")),
        (Write(Ablate(unit(1)), 1, "block_output", scope="prompt"),),
    ]


def steps(host: Host, all_plans: list[Plan]) -> list[tuple[torch.Tensor, list[int]]]:
    """Logits and writes of each step, on tokens that do not depend on them."""
    return host.run(lambda job: _steps(host, all_plans), title="Steps")


def _steps(host: Host, all_plans: list[Plan], by_hooks: int = STEPS) -> list[tuple[torch.Tensor, list[int]]]:
    """Of all steps, those behind the first `by_hooks` are traced."""
    schedule = Schedule(host, all_plans)
    batch = Batch.of(host, [render(host, text) for text in TEXTS[: len(all_plans)]])
    forward, seen, found = read_prompts(host, batch, schedule), batch.real, []
    for step in range(STEPS):
        seen = torch.cat([seen, torch.ones(len(all_plans), 1, dtype=torch.bool)], dim=1)
        with nullcontext() if step < by_hooks else traced_steps():
            forward = read_token(host, torch.full((len(all_plans),), 7 + step), seen, forward.cache, schedule)
        found.append((forward.logits, list(forward.written)))
    return found


def around(host: Any) -> list[Any]:
    """What lies around every module: its own forward pass, where it has one beside its class's, and torch's hooks."""
    modules = host.model._module.modules()
    return [(vars(m).get("forward"), len(m._forward_hooks) + len(m._forward_pre_hooks)) for m in modules]


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "qwen2_moe", "phi3", "gpt_neox"])
def test_steps_by_hooks_are_the_traced_ones_to_the_bit(tiny_host, name: str) -> None:
    host = tiny_host(name)
    before = around(host)
    with traced_steps():
        traced = steps(host, plans())
        bare = steps(host, [()] * 4)
    assert not any(torch.equal(a, b) for (a, _), (b, _) in zip(traced, bare, strict=True))  # the plans do something
    ran = []
    original = hooked._hooked
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hooked, "_hooked", lambda *given: (ran.append(1), original(*given))[1])
        again = steps(host, plans())
    assert len(ran) >= STEPS - 1  # the first is tried, the others run by hooks
    for (logits, written), (expected, wrote) in zip(again, traced, strict=True):
        assert torch.equal(logits, expected)
        assert written == wrote
    assert around(host) == before


@pytest.mark.parametrize("name", ["bamba", "lfm2", "recurrent_gemma", "gemma4_text", "mamba", "rwkv"])
def test_odd_caches_are_tried_on_a_copy(tokenizer, lane, name: str) -> None:
    """A state that a step changes in place would be one step ahead, were the trial run on the cache itself."""
    host = Host.wrap(model_of(name), tokenizer, name=f"tiny {name}", lane=lane)
    with traced_steps():
        traced = steps(host, [(Write(Add(unit(0), 3.0), 1, "block_output"),), ()])
    again = steps(host, [(Write(Add(unit(0), 3.0), 1, "block_output"),), ()])
    for (logits, _), (expected, _) in zip(again, traced, strict=True):
        assert torch.equal(logits, expected)


@pytest.mark.parametrize(("name", "lean"), [("qwen3", True), ("bamba", False)])
def test_traces_and_gradients_go_on_from_what_steps_by_hooks_leave(tiny_host, tokenizer, lane, name, lean) -> None:
    """What inference mode makes may be neither changed in place outside of it nor trained through."""
    host = tiny_host(name) if lean else Host.wrap(model_of(name), tokenizer, name=f"tiny {name}", lane=lane)
    original, made = hooked._hooked, []

    def slopes() -> torch.Tensor:
        of = stream_gradients(host, [render(host, TEXTS[0])], (1, "block_output"), lambda logits: logits[..., 3])
        return next(of).slopes

    def look(*given: Any) -> Any:
        output = original(*given)
        made.append(output["logits"].is_inference())
        return output

    before = host.run(lambda job: slopes(), title="Slopes")
    with traced_steps():
        traced = steps(host, plans())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hooked, "_hooked", look)
        mixed = host.run(lambda job: _steps(host, plans(), STEPS - 2), title="Steps")
    assert set(made) == {lean}
    assert len(made) == STEPS - 2  # a trial, and the steps behind the first
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(mixed, traced, strict=True))
    assert before.abs().max() > 0
    assert torch.equal(host.run(lambda job: slopes(), title="Slopes"), before)


def test_where_hooks_give_something_else_steps_go_on_being_traced(tiny_host, monkeypatch) -> None:
    host = tiny_host("olmo2")
    rows, settings = [Row(_prompt(host), plans()[1])], DecodeSettings(max_new_tokens=6)
    with traced_steps():
        (right,) = generate(host, rows, settings)
    original, ran = hooked._gave, []

    def wrong(stop, *given, **named):
        ran.append(stop.place)
        new = original(stop, *given, **named)
        return (new[0] * 1.001, *new[1:]) if isinstance(new, tuple) else new * 1.001

    monkeypatch.setattr(hooked, "_gave", wrong)
    (reply,) = generate(host, rows, settings)
    assert ran  # it was tried,
    tried = len(ran)
    assert reply.ids == right.ids
    generate(host, rows, settings)
    assert len(ran) == tried  # once


def test_hooks_go_where_a_step_fails(tiny_host, monkeypatch) -> None:
    host = tiny_host("qwen3")
    rows, settings = [Row(_prompt(host), plans()[1])], DecodeSettings(max_new_tokens=6)
    generate(host, rows, settings)  # shows that hooks hold
    before, met = around(host), []
    original = visitor.Visitor.meet

    def fails(self, stop, value):
        met.append(stop)
        if len(met) > 8 and self.last is None:
            raise RuntimeError("in the middle of a step")
        return original(self, stop, value)

    monkeypatch.setattr(visitor.Visitor, "meet", fails)
    with pytest.raises(RuntimeError, match="in the middle"):
        generate(host, rows, settings)
    assert around(host) == before


def _schedule(host: Host) -> tuple[Schedule, Coverage]:
    schedule = Schedule(host, plans())
    return schedule, schedule.of_step()


def _prompt(host: Any) -> Prompt:
    return render(host, TEXTS[0])


def test_steps_by_hooks_run_the_models_own_code_and_leave_it_as_traces_need_it(tiny_host, monkeypatch) -> None:
    """Nnsight's wrappers are aside for the step, and back behind it, however it ends."""
    host, within, end = tiny_host("llama"), [], hooked.ends
    met = len({id(stop.module._module) for stop in Route.of(host, *_schedule(host)).stops})

    def wrapped() -> list[Any]:
        return [forward for forward, _ in around(host)]

    def looked(*given: Any) -> Any:
        within.append(sum(each is not None for each in wrapped()))
        if len(within) == STEPS:
            raise ValueError("no such thing")
        return end(*given)

    before = wrapped()
    assert sum(each is not None for each in before) > 20
    expected = steps(host, plans())
    monkeypatch.setattr(hooked, "ends", looked)
    with pytest.raises(ValueError, match="no such thing"):
        steps(host, plans())
    assert within == [met] * STEPS  # where the plans write or a gate is read, and nowhere else
    assert all(now is then for now, then in zip(wrapped(), before, strict=True))
    monkeypatch.undo()
    with traced_steps():
        again = steps(host, plans())
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(again, expected, strict=True))


@contextmanager
def masks_of(host: Host, *, needed: bool = False) -> Iterator[list[bool]]:
    """Whether the model was given a mask, pass by pass; `needed` where its code cannot do without."""
    given: list[bool] = []

    def look(module: Any, args: Any, named: dict[str, Any]) -> None:
        given.append(named.get("attention_mask") is not None)
        if needed and not given[-1]:
            raise TypeError("no mask")

    handle = host.model._module.model.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield given
    finally:
        handle.remove()


@pytest.mark.parametrize("needed", [False, True])
def test_a_mask_that_hides_nothing_is_left_out_where_that_changes_nothing(tokenizer, lane, needed: bool) -> None:
    host = Host.wrap(model_of("gemma4_text"), tokenizer, name="tiny gemma4", lane=lane)
    rows = [Row(_prompt(host), plans()[1])]
    with traced_steps():
        (right,) = generate(host, rows, DecodeSettings(max_new_tokens=6))
    with masks_of(host, needed=needed) as masks:
        (reply,) = generate(host, rows, DecodeSettings(max_new_tokens=6))
    assert reply.ids == right.ids
    assert len(reply.ids) == 6
    prompt, traced, trial, *others = masks
    assert (prompt, traced, trial) == (True, True, False)
    # Tried without; where that fails, once more on the next step with it, and from then on as was found right.
    assert others == ([True] * 5 if needed else [False] * 4)


def test_padding_is_told_at_every_step(tokenizer, lane) -> None:
    host = Host.wrap(model_of("gemma4_text"), tokenizer, name="tiny gemma4", lane=lane)
    steps(host, plans()[:1])  # nothing is padded here: masks are found to be needless
    with traced_steps():
        right = steps(host, plans())
    with masks_of(host) as masks:
        found = steps(host, plans())
    assert len({len(render(host, text).ids) for text in TEXTS[:4]}) > 1
    assert all(masks)
    assert len(masks) >= STEPS + 1
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(found, right, strict=True))
