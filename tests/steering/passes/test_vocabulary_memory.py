"""Memory beside the weights at a vocabulary of 151,936: bounded, as docs/results.md says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from ctypes import CDLL
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.exact import LOGITS
from steering.passes.many_plans import Given, read_many
from steering.passes.rows import Row
from steering.recipes.nats import divergences
from steering.studies.refusal.tokens import find_tokens
from steering.vectors.token_readings import read_tokens
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Add


VOCABULARY = 151_936
BOUND = 750e6
"""Bytes; five times the logits of one pass, and what the interpreter adds."""
RESET = Path("/proc/self/clear_refs")
_MMAP_THRESHOLD = -3
"""Option of glibc's `mallopt`: bytes from which a block is the system's own, and goes back to it when it is freed."""

pytestmark = pytest.mark.skipif(not RESET.exists(), reason="the peak of memory is read from Linux's /proc")


@pytest.fixture(scope="module")
def host(tokenizer, lane) -> Host:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        eos_token_id=None,
        tie_word_embeddings=True,
    )
    return Host.wrap(LlamaForCausalLM(config), tokenizer, name="wide", lane=lane)


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line for line in lines if line.startswith(key)).split()[1])


@contextmanager
def bounded(bound: float) -> Iterator[None]:
    """Check that what runs inside never needs more bytes than that beside what there was."""
    RESET.write_text("5")
    before = _status("VmRSS")
    with _given_back():
        yield
    assert _status("VmHWM") - before < bound


@contextmanager
def _given_back() -> Iterator[None]:
    """Have glibc give what is freed back at once: what it keeps for later may be five times what is needed."""
    option = getattr(CDLL(None), "mallopt", None)
    if option is not None:
        option(_MMAP_THRESHOLD, 2**20)
    yield
    if option is not None:
        option(_MMAP_THRESHOLD, 2**25)  # the largest, to which it would have risen by itself


def plans(host: Host):
    direction = torch.nn.functional.normalize(torch.ones(host.info.width), dim=0)
    return [(Write(Add(direction, strength), 1, "block_output"),) for strength in (0.5, 1.0, 2.0, 4.0)]


def test_the_measure_sees_what_float64_over_a_batch_would_need() -> None:
    def whole() -> None:
        with bounded(BOUND):
            torch.log_softmax(torch.zeros(4 * 4 * 31, VOCABULARY, dtype=torch.float64), dim=-1)

    with pytest.raises(AssertionError):
        whole()


def test_strengths_in_nats_are_found_within_it(host) -> None:
    """Sixteen replies under plans in one pass would hold 75 million logits, more than twice what is read at once."""
    replied = [(render(host, "Hello."), tuple(range(5, 35)))] * 4
    assert 4 * len(replied) * 31 * VOCABULARY > 2 * LOGITS
    with bounded(BOUND):
        found = divergences(host, plans(host), replied)
    assert found.shape == (4, 4 * 31)
    assert (found >= 0).all()


def test_sweeps_over_given_replies_stay_within_it(host) -> None:
    """Their unsteered logits alone, of 372 places, would be 226 MB, and those under four plans four times as much."""
    given = [Given(render(host, f"Hello {n}."), (tuple(range(5, 35)),)) for n in range(12)]
    seen = set()

    def work(job) -> None:
        for read in read_many(job, host, given, plans(host)):
            seen.update((plan, item) for plan in read.plans for item in read.items)

    with bounded(BOUND):
        host.run(work, title="read")
    assert seen == {(plan, item) for plan in range(4) for item in range(12)}


@pytest.mark.parametrize("kind", ["gates", "a cache that cannot be shared", "logits at every token"])
def test_texts_that_are_read_whole_stay_within_it(kind, host) -> None:
    """Behind a prompt of 150 tokens a pass over five rows would have 450 MB of logits, of which 55 are wanted."""
    limits = {"gates": {}, "a cache that cannot be shared": {"shares": False}}
    model = copy(host)
    model.abilities = replace(host.abilities, **limits.get(kind, {"shares": False, "keeps": None}))
    prompt = render(host, "Hello. " * 60)
    assert 5 * len(prompt) * VOCABULARY * 4 > 0.6 * BOUND
    gate = Gate(torch.nn.functional.normalize(torch.ones(host.info.width), dim=0), -1e6, 1, "block_output")
    chosen = [tuple(replace(write, gate=gate if kind == "gates" else None) for write in plan) for plan in plans(host)]
    given = [Given(prompt, (tuple(range(5, 15)),))]
    found: dict[str, dict[int, torch.Tensor]] = {"": {}, "bounded": {}}

    def work(job, of: Host, into: dict[int, torch.Tensor]) -> None:
        for read in read_many(job, of, given, chosen):
            into.update((plan, each[..., :50].clone()) for plan, each in zip(read.plans, read.logits, strict=True))

    with bounded(BOUND / 2):
        host.run(lambda job: work(job, model, found["bounded"]), title="read")
    host.run(lambda job: work(job, host, found[""]), title="read")
    assert len(found["bounded"]) == 4
    for plan, logits in found["bounded"].items():
        torch.testing.assert_close(logits, found[""][plan], atol=1e-4, rtol=1e-4)  # float32 in another order
    assert not torch.allclose(found[""][0], found[""][3], atol=1e-2), "the plans write"


def test_refusal_tokens_are_found_within_it(host) -> None:
    """Probabilities of 96 prompts in float64 would be 117 MB a side, and twice that while they are made."""
    sides = [[render(host, f"{word} {n}.") for n in range(48)] for word in ("Hello", "Goodbye")]
    with bounded(200e6):
        found = find_tokens(host, *sides, answered=2)
    assert found.n == (48, 48)


def test_tokens_of_a_reply_are_read_within_it(host) -> None:
    """Two rows of float32 logits are needed, 73 MB for 60 tokens, and pieces beside them."""
    rows = [Row(render(host, "Hello.")), Row(render(host, "Hello."), plans(host)[3], against=0)]
    with bounded(250e6):
        found = read_tokens(host, rows, [range(5, 65)] * 2)
    assert len(found[1]) == 60
