"""Memory stays what it is, however many replies are generated."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from steering.job import Job
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import DecodeSettings, generate
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from tests.workbench.test_workspace import vector


BEFORE, GENERATIONS = 30, 300
MEGABYTES = 10
"""By which the process may grow over 300 generations; what one keeps of its own while it runs (cache, logits of 3,072
tokens for each of two rows) is a tenth of a megabyte, so that a leak of it would be thrice as much."""


def _size() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_three_hundred_generations_leave_no_memory_behind(tiny_host: Callable[[str], Host]) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("how much memory the process has is read from /proc")
    host = tiny_host("llama")
    known = {"own": vector("own", 1, blocks=4, width=32)}
    recipe = Recipe.model_validate({"interventions": [{"vector": "own", "strength": 2.0, "unit": "raw"}]})
    prompt = render(host, "Hello.")
    rows = (Row(prompt), Row(prompt, plan_of(recipe, host, known), against=0))
    settings = DecodeSettings(max_new_tokens=1)
    for n in range(BEFORE + GENERATIONS):
        if n == BEFORE:  # allocators have what they keep
            gc.collect()
            before, jobs = _size(), sum(isinstance(each, Job) for each in gc.get_objects())
        generate(host, rows, settings)
    gc.collect()
    assert (_size() - before) / 2**20 < MEGABYTES
    assert sum(isinstance(each, Job) for each in gc.get_objects()) <= jobs + 1
