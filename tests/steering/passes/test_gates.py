"""Gates: a write applies to the rows or tokens whose projection is past the threshold, and to no others."""

from __future__ import annotations

import torch

from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Add


TEXTS = ("Hello.", "What is two plus three?", "Write a review of the hotel by the river.")
GATE_AT, WRITE_AT = (1, "block_output"), (2, "block_output")


def _unit(seed: int) -> torch.Tensor:
    vector = torch.randn(32, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def _states(host, plan=(), texts=TEXTS):
    """States at the gate's and the write's place for each text alone, so without padding; and what was written."""
    found, written = [], []
    for text in texts:
        seen = {}
        forward = host.run(
            lambda job, text=text, seen=seen: read_prompts(
                host,
                Batch.of(host, [render(host, text)]),
                Schedule(host, [plan]),
                read=lambda place, x: seen.update({place: x[0].clone()}),
                places=[GATE_AT, WRITE_AT],
            ),
            title="read",
        )
        found.append(seen)
        written.append(forward.written[0])
    return found, written


def _gate(**options) -> Gate:
    return Gate(_unit(7), block=GATE_AT[0], site=GATE_AT[1], **options)


def _write(gate: Gate, scope="all") -> tuple[Write, ...]:
    return (Write(Add(_unit(8), 4.0), *WRITE_AT, scope, gate),)


def test_a_prompt_gate_decides_by_the_last_token_for_the_whole_row(tiny_host) -> None:
    host = tiny_host("llama")
    plain, _ = _states(host)
    last = [float(seen[GATE_AT][-1] @ _unit(7)) for seen in plain]
    threshold = sum(sorted(last)[:2]) / 2
    above = [value > threshold for value in last]
    assert 0 < sum(above) < 3  # some rows on each side
    for side, opened in (("above", above), ("below", [not each for each in above])):
        steered, written = _states(host, _write(_gate(threshold=threshold, side=side)))
        for seen, before, is_open, n in zip(steered, plain, opened, written, strict=True):
            moved = seen[WRITE_AT] - before[WRITE_AT]
            torch.testing.assert_close(moved, (is_open * 4 * _unit(8)).expand_as(moved), atol=1e-4, rtol=0)
            assert n == (len(moved) if is_open else 0)


def test_a_token_gate_decides_for_each_token(tiny_host) -> None:
    host = tiny_host("llama")
    plain, _ = _states(host)
    along = [seen[GATE_AT] @ _unit(7) for seen in plain]
    threshold = float(torch.cat(along).median())
    steered, written = _states(host, _write(_gate(threshold=threshold, per="token")))
    for seen, before, each, n in zip(steered, plain, along, written, strict=True):
        opened = each > threshold
        moved = seen[WRITE_AT] - before[WRITE_AT]
        torch.testing.assert_close(moved, opened[:, None] * 4 * _unit(8), atol=1e-4, rtol=0)
        assert n == int(opened.sum())
    assert sum(written) not in (0, sum(map(len, along)))


def _texts(host, plans) -> list[tuple[tuple[int, ...], int, int]]:
    rows = [Row(render(host, text), plan) for plan in plans for text in TEXTS]
    settings = DecodeSettings(max_new_tokens=10)
    return [(reply.ids, reply.written.prompt, reply.written.generated) for reply in generate(host, rows, settings)]


def test_rows_of_one_batch_are_gated_each_by_itself_through_the_whole_reply(tiny_host, monkeypatch) -> None:
    host = tiny_host("llama")
    monkeypatch.setattr(host, "end_ids", frozenset())
    plain, _ = _states(host)
    last = [float(seen[GATE_AT][-1] @ _unit(7)) for seen in plain]
    threshold = sum(sorted(last)[:2]) / 2
    ungated = (Write(Add(_unit(8), 4.0), *WRITE_AT),)
    bare, full, gated = (_texts(host, [plan]) for plan in ((), ungated, _write(_gate(threshold=threshold))))
    assert all(a[0] != b[0] for a, b in zip(bare, full, strict=True))  # the write shows
    for value, no, yes, found in zip(last, bare, full, gated, strict=True):
        assert found == (yes if value > threshold else no)
    # Together in one batch, padded, each row is as alone.
    together = _texts(host, [(), ungated, _write(_gate(threshold=threshold))])
    assert together == bare + full + gated


def test_a_token_gate_is_read_anew_at_every_generated_token(tiny_host, monkeypatch) -> None:
    """Each step's decision, checked by reading the whole text again without a cache."""
    host = tiny_host("llama")
    monkeypatch.setattr(host, "end_ids", frozenset())
    plain, _ = _states(host)
    threshold = float(torch.cat([seen[GATE_AT] @ _unit(7) for seen in plain]).median())
    plan = _write(_gate(threshold=threshold, per="token"), scope="generated")
    counts = []
    for text in TEXTS:
        prompt = render(host, text)
        (reply,) = generate(host, [Row(prompt, plan)], DecodeSettings(max_new_tokens=10))
        fed = reply.ids[:-1]  # the last token is never fed back
        seen = {}
        batch = Batch.of(host, [prompt], replies=[fed])
        forward = host.run(
            lambda job, batch=batch, seen=seen: read_prompts(
                host,
                batch,
                Schedule(host, [plan]),
                read=lambda place, x: seen.update({place: x[0]}),
                places=[GATE_AT],
            ),
            title="read",
        )
        opened = seen[GATE_AT][len(prompt) :] @ _unit(7) > threshold
        assert reply.written.generated == int(opened.sum()) == forward.written[0]
        assert reply.written.prompt == 0
        counts.append((int(opened.sum()), len(fed)))
    assert any(0 < some < total for some, total in counts)


def test_a_gate_reads_before_the_write_at_its_own_place(tiny_host) -> None:
    host = tiny_host("llama")
    plain, _ = _states(host, texts=TEXTS[:1])
    along = float(plain[0][WRITE_AT][-1] @ _unit(8))
    # Once written, the projection would be past the threshold and the gate shut.
    gate = Gate(_unit(8), along + 1, *WRITE_AT, side="below")
    steered, written = _states(host, (Write(Add(_unit(8), 4.0), *WRITE_AT, "all", gate),), texts=TEXTS[:1])
    assert written[0] == len(steered[0][WRITE_AT])
    assert float(steered[0][WRITE_AT][-1] @ _unit(8)) > along + 3
