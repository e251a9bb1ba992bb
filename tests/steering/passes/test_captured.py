"""Captured steps against plain ones, by a recording that does on a CPU what a CUDA graph does (`tests.recording`)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steering.model.host import Host
from steering.model.prompts import render
from steering.passes import captured
from steering.passes.captured import LEAST, SWITCH, TRIALS, Captured, obstacle, records
from steering.passes.decoding import generate, stream
from steering.passes.hooked import traced_steps
from steering.passes.replies import DecodeSettings, Replies
from steering.passes.rows import Batch, Row
from steering.passes.running import Running
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.selfcheck import NotApplicable, checks_of
from steering.selfcheck.bench import Bench, random_directions
from steering.selfcheck.checks import LAUNCHED
from steering.writes.interventions import Plan, Write
from steering.writes.operations import Ablate, Add, Clamp
from tests.families import tiny_family
from tests.recording import Recording, recordings
from tests.steering.passes.test_hooked import plans, unit
from tests.steering.passes.test_passes import TEXTS, model_of


TOKENS = LEAST + 6
SETTINGS = DecodeSettings(max_new_tokens=TOKENS)


def open_plans() -> list[Plan]:
    """Three rows without a gate: none, adds at several sites, and an ablation beside a clamp."""
    return [
        (),
        (Write(Add(unit(0), 3.0), 0, "block_input"), Write(Add(unit(1), 2.0), 2, "attention_output")),
        (Write(Ablate(unit(2)), 3, "block_output"), Write(Clamp(unit(4), 4.0), 1, "mlp_output")),
    ]


def rows_of(host: Host) -> list[Row]:
    """Prompts of several lengths."""
    rows = [Row(render(host, text), plan) for text, plan in zip(TEXTS, open_plans(), strict=False)]
    assert len({len(row.prompt) for row in rows}) > 1
    return rows


def logits_of(host: Host, rows: list[Row], tokens: int) -> torch.Tensor:
    """Of so many steps, (step, row, vocabulary)."""

    def work(job: Any) -> torch.Tensor:
        running, found = Running.begin(host, rows, [SETTINGS] * len(rows)), []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("steering.passes.running.take", lambda host, states, each: found.append(each.clone()))
            for _ in range(tokens):
                running.step()
        return torch.stack(found)

    return host.run(work, title="Steps")


def launches(made: list[Recording]) -> int:
    """Tokens that came from a launch alone."""
    return sum(max(0, each.launches - TRIALS) for each in made)


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3", "qwen2_moe", "phi3", "gpt_neox", "olmo2", "opt"])
def test_captured_steps_write_what_plain_ones_write(tiny_host: Callable[[str], Host], name: str) -> None:
    host = tiny_host(name)
    rows = rows_of(host)
    plain, bare = generate(host, rows, SETTINGS), generate(host, [Row(row.prompt) for row in rows], SETTINGS)
    assert [a.ids == b.ids for a, b in zip(plain, bare, strict=True)] == [True, False, False]
    with recordings() as made:
        found = generate(host, rows, SETTINGS)
    assert len(made) == 1
    assert launches(made) == TOKENS - 2 - TRIALS  # the prompt gives one token, and a plain step shows the way
    assert [reply.ids for reply in found] == [reply.ids for reply in plain]
    assert [reply.written for reply in found] == [reply.written for reply in plain]


def test_logits_of_a_launch_are_those_of_a_step_but_for_rounding(tiny_host: Callable[[str], Host]) -> None:
    host = tiny_host("llama")

    plain = logits_of(host, rows_of(host), TOKENS)
    with recordings() as made:
        found = logits_of(host, rows_of(host), TOKENS)
    assert launches(made) > LEAST
    assert plain.std() > 0.1
    # Attention over places that a mask hides adds up the same numbers in another order.
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)


def test_a_number_that_the_capture_froze_is_found_at_the_second_token(
    tiny_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, rows = tiny_host("qwen2"), rows_of(tiny_host("qwen2"))
    plain = generate(host, rows, SETTINGS)

    def frozen(self: Any, keys: torch.Tensor, values: torch.Tensor, *args: Any, **named: Any) -> Any:
        place = self._place.numpy()[0]  # a number from here on, and none that the recording sees being looked at
        self.keys[:, :, place : place + 1] = keys
        self.values[:, :, place : place + 1] = values
        return self.keys, self.values

    with monkeypatch.context() as patch, recordings() as made:
        patch.setattr(captured._Layer, "update", frozen)
        found = generate(host, rows, SETTINGS)
        again = generate(host, rows, SETTINGS)
    assert [each.launches for each in made] == [TRIALS], "right at the first, wrong at the second, never tried again"
    assert [reply.ids for reply in (*found, *again)] == [reply.ids for reply in plain] * 2
    captured._REFUSED.pop(host.base)


def test_code_that_cannot_be_captured_is_run_step_by_step(tiny_host: Callable[[str], Host]) -> None:
    """GPT-Neo brings a number from Python's memory in every pass."""
    host = tiny_host("gpt_neo")
    rows = rows_of(host)
    plain = generate(host, rows, SETTINGS)
    with recordings() as made:
        found = [reply.ids for _ in range(2) for reply in generate(host, rows, SETTINGS)]
        assert "cannot be captured: aten.lift_fresh" in why_not(host, open_plans())
    assert not made
    assert found == [reply.ids for reply in plain] * 2


def test_a_model_that_counts_for_itself_is_found_at_the_second_token(tokenizer: Any, lane: Any) -> None:
    """JetMoE parts its tokens by numbers that it looks up in Python."""
    host = Host.wrap(tiny_family("jetmoe"), tokenizer, name="jetmoe", lane=lane)
    host.end_ids = frozenset()
    rows = [Row(render(host, text), plan) for text, plan in zip(TEXTS, open_plans(), strict=False)]
    plain = generate(host, rows, SETTINGS)
    with recordings() as made:
        found = generate(host, rows, SETTINGS)
        assert why_not(host, open_plans()) == "A captured step gave other logits than a plain one."
    assert [each.launches for each in made] == [TRIALS]
    assert [reply.ids for reply in found] == [reply.ids for reply in plain]


def why_not(host: Host, all_plans: list[Plan]) -> str:
    def work(job: Any) -> str:
        schedule = Schedule(host, all_plans)
        batch = Batch.of(host, [render(host, text) for text in TEXTS[: len(all_plans)]])
        return obstacle(host, read_prompts(host, batch, schedule).cache, schedule)

    return host.run(work, title="Why not")


def test_what_stands_in_the_way_is_said(tiny_host: Callable[[str], Host], tokenizer: Any, lane: Any) -> None:
    llama = tiny_host("llama")
    assert why_not(llama, open_plans()) == f"Steps are captured on a GPU, where {SWITCH}=on asks for it."
    with recordings():
        assert why_not(llama, open_plans()) == ""
        assert why_not(llama, plans()) == "A gate decides at every token."
        assert "a window or a state" in why_not(tiny_host("gemma2"), open_plans())
        bamba = Host.wrap(model_of("bamba"), tokenizer, name="tiny bamba", lane=lane)
        assert "a window or a state" in why_not(bamba, [(), ()])


def test_they_are_asked_for(tiny_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch) -> None:
    host = tiny_host("llama")
    there = SimpleNamespace(device=torch.device("cuda"))
    found = []
    for asked in ("on", "off", ""):
        monkeypatch.setenv(SWITCH, asked)
        found += [records(host), records(there)]  # type: ignore[arg-type]
    assert found == [False, True, False, False, False, False]


def test_short_replies_and_traced_steps_are_not_captured(tiny_host: Callable[[str], Host]) -> None:
    host = tiny_host("llama")
    with recordings() as made:
        generate(host, rows_of(host), DecodeSettings(max_new_tokens=LEAST))
        with traced_steps():
            generate(host, rows_of(host), SETTINGS)
    assert not made


def test_rows_that_come_and_go_are_captured_anew(tiny_host: Callable[[str], Host]) -> None:
    """Rows of one job end long before those of another, which joins it in the middle; each gets what it gets alone."""
    host = tiny_host("llama")
    first, second, third = rows_of(host)
    few, many = DecodeSettings(max_new_tokens=LEAST + 8), DecodeSettings(max_new_tokens=3 * LEAST)
    alone = [generate(host, [row], each)[0].ids for row, each in ((first, few), (second, many), (third, many))]

    def work(job: Any) -> tuple[list[Any], list[bool]]:
        one, trusted = Running.begin(host, [first], [few]), []
        states = [*one.states]
        for _ in range(6):
            one.step()
        trusted.append(isinstance(one.cache, Captured) and one.cache.own is None)
        other = Running.begin(host, [second, third], [many, many])
        states += other.states
        assert one.is_plain
        one.take_in(other)
        while not all(state.finish for state in states):
            one.step()
            trusted.append(isinstance(one.cache, Captured) and one.cache.own is None)
            one.keep([n for n, state in enumerate(one.states) if not state.finish] or [0])
        return [tuple(state.ids) for state in states], trusted

    with recordings() as made:
        found, trusted = host.run(work, title="Steps")
    assert found == alone
    assert trusted[0]
    assert len(made) == 3  # for one row, for three, and for the two that are left
    assert launches(made) > LEAST
    assert sum(trusted) >= launches(made)


def test_a_stop_between_two_launches_leaves_what_goes_on(tiny_host: Callable[[str], Host]) -> None:
    host, row = tiny_host("llama"), rows_of(tiny_host("llama"))[1]
    (right,) = generate(host, [row], DecodeSettings(max_new_tokens=200))
    with recordings() as made:
        job = stream(host, [row], DecodeSettings(max_new_tokens=200))
        told: list[Replies] = []
        for event in job.events():
            if hasattr(event, "replies"):
                told.append(event.replies)
                if len(told) == 12:
                    job.stop()
        (again,) = generate(host, [row], SETTINGS)
    assert 12 <= len(told[-1][0].ids) < 200
    assert told[-1][0].ids == right.ids[: len(told[-1][0].ids)]
    assert again.ids == right.ids[:TOKENS]
    assert launches(made) > LEAST


def test_where_there_is_no_room_steps_go_on_by_themselves(
    tiny_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, rows = tiny_host("llama"), rows_of(tiny_host("llama"))
    plain = generate(host, rows, SETTINGS)

    def full(*given: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    with recordings() as made, monkeypatch.context() as patch:
        patch.setattr(captured, "laid_out", full)
        found = generate(host, rows, SETTINGS)
    assert not made
    assert [reply.ids for reply in found] == [reply.ids for reply in plain]
    with recordings(), monkeypatch.context() as patch:
        patch.setattr(captured, "recorder", lambda host: full)
        found = generate(host, rows, SETTINGS)
    assert [reply.ids for reply in found] == [reply.ids for reply in plain]
    assert not captured._REFUSED.get(host.base), "there may be room the next time"


def test_behind_the_last_place_steps_go_on_by_themselves(tiny_host: Callable[[str], Host]) -> None:
    host, rows = tiny_host("llama"), rows_of(tiny_host("llama"))
    plain = generate(host, rows, SETTINGS)
    with recordings() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(captured, "LEAST", 4)
        patch.setattr("steering.passes.running.most_left", lambda host, state: 4)
        found = generate(host, rows, SETTINGS)
    assert launches(made) == 4 - TRIALS
    assert [reply.ids for reply in found] == [reply.ids for reply in plain]


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_the_self_check_holds_them_against_plain_steps(tiny_host: Callable[[str], Host], name: str) -> None:
    host = tiny_host(name)
    _, check = LAUNCHED["captured steps"]
    bench = Bench(host, random_directions(host, 0))

    def work(job: Any) -> str:
        try:
            return check(bench)
        except NotApplicable as reason:
            return str(reason)

    assert "Steps are captured on a GPU" in host.run(work, title="Check")
    assert "captured steps" not in checks_of(host)
    with recordings():
        assert "captured steps" in checks_of(host)
        said = host.run(work, title="Check")
    assert ("standard deviations apart" in said) is (name == "llama")
    assert ("a window or a state" in said) is (name == "gemma2")
