"""Steer's replies, read again along another vector."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio.state_holder import SessionState

from tests.workbench.asking import asked_by, tiny_bench
from tests.workbench.test_workspace import vector
from workbench.frame.shell import build


class Asker:
    """One browser's session, without the browser."""

    def __init__(self, page: Any) -> None:
        self.page, self.state = page, SessionState(page)

    def ask(self, name: str, what: str, *, until: str = "", **given: Any) -> str:
        """All that an event gives the page, or what it gives as far as `until` stands in it."""
        (part,) = (each for each in self.page.blocks.values() if each.elem_id == name)
        (event,) = (each for each in self.page.fns.values() if each.fn and (part._id, what) in each.targets)
        values = [given.get(str(each.elem_id), None if callable(each.value) else each.value) for each in event.inputs]
        return asyncio.run(self._followed(event, values, until))

    async def _followed(self, event: Any, values: list[Any], until: str) -> str:
        steps, said = None, ""
        while True:
            options = {"state": self.state, "request": asked_by("a" * 32), "session_hash": "a" * 32}
            answer = await self.page.process_api(event, values, iterator=steps, **options)
            steps, said = answer["iterator"], said + str(answer["data"])
            if not answer["is_generating"] or (until and until in said):
                return said


@pytest.fixture
def asker(tmp_path: Path, tokenizer: Any) -> Iterator[Asker]:
    bench = tiny_bench(tmp_path, tokenizer)
    for seed, name in enumerate(("own", "other")):
        bench.workspace.put(vector(name, seed, blocks=4, width=32))
    yield Asker(build(bench))
    bench.close()


def test_replies_of_a_run_that_goes_on_are_not_read_with_the_rows_of_the_last_one(asker: Asker) -> None:
    recipe = {"interventions": [{"vector": "own", "strength": 1.0, "unit": "raw"}], "decode": {"max_new_tokens": 4}}
    asker.ask("run", "click", user="Write a note.", **{"recipe-a": recipe})
    read = asker.ask("along", "input", along="other")
    assert "sw-error" not in read
    assert "sw-tok" in read  # they can be read here, and
    asker.ask("run", "click", until="Waiting", user="Write another.", **{"recipe-a": recipe})
    refused = asker.ask("along", "input", along="own")
    assert "There are no replies here whose tokens can be read again" in refused
    assert "wait until the run has ended" in refused
