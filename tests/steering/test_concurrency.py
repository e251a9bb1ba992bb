"""Many threads, one model: every text is the one that its own vector gives."""

from __future__ import annotations

import threading

import torch

from steering.model.prompts import render
from steering.passes.decoding import generate, stream
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.writes.interventions import Write
from steering.writes.operations import Add


THREADS, ROUNDS = 6, 5
SETTINGS = DecodeSettings(max_new_tokens=10)
PROMPT = "Write a note to my boss about the meeting."


def plan(thread: int):
    direction = torch.randn(32, generator=torch.Generator().manual_seed(thread))
    return (Write(Add(direction / direction.norm(), 60.0), 1, "block_output"),)


def test_six_threads_with_other_vectors_get_thirty_of_thirty_texts_right(tiny_host) -> None:
    host = tiny_host("llama")
    row = [Row(render(host, PROMPT), plan(t)) for t in range(THREADS)]
    expected = [generate(host, [row[t]], SETTINGS)[0].ids for t in range(THREADS)]
    assert len(set(expected)) == THREADS  # the vectors tell the threads apart
    found: dict[int, list] = {t: [] for t in range(THREADS)}
    start = threading.Barrier(THREADS)

    def ask(thread: int) -> None:
        start.wait()
        for round_ in range(ROUNDS):
            if round_ % 2:
                found[thread].append(stream(host, [row[thread]], SETTINGS).result()[0].ids)
            else:
                found[thread].append(generate(host, [row[thread]], SETTINGS)[0].ids)

    threads = [threading.Thread(target=ask, args=(t,)) for t in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    right = sum(ids == expected[t] for t, texts in found.items() for ids in texts)
    assert right == THREADS * ROUNDS
