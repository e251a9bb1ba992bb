"""Parts in pieces: the numbers of the whole to the last digit, whoever computes them and in whatever order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from steering.model.host import Host
from steering.model.prompts import Message
from steering.parts.part import Part, Told, parts, spread_over
from steering.recipes.recipe import Recipe
from steering.store import Kept
from steering.studies.grid import BATCH, Grid, parse_axis, run_cells
from steering.studies.tradeoff.curves import UNSTEERED
from steering.studies.tradeoff.items import Chunk, Item, Treatment
from steering.studies.tradeoff.readings import Reader
from steering.studies.tradeoff.spread import Reading, unread
from steering.writes.interventions import Write
from steering.writes.operations import Add


ASKED = ("Write a note.", "What is 2 plus 3?", "Name a colour of the sky in the evening.")
BEHIND = (Message("system", "Be brief."),)


def treatments() -> list[Treatment]:
    """More at one block than share a pass, some at another, one behind a system prompt, and the unsteered model."""
    direction = torch.nn.functional.normalize(torch.arange(1.0, 33.0), dim=0)
    steered = [
        Treatment((Write(Add(direction, float(strength)), block, "block_output"),), f"{block} {strength}")
        for block, strengths in ((1, range(1, 38)), (2, range(1, 4)))
        for strength in strengths
    ]
    return [UNSTEERED, *steered, Treatment((), "", BEHIND)]


def chunk(kind: str) -> Chunk:
    given = {"given": {"given": ("Yes.", "No, never.")}, "words": {"words": ("A", "B")}, "text": {"longest": 3}}
    own = {"own": (11, 12, 13)}
    return Chunk(tuple(Item(text, (Message("user", text),), kind, **given.get(kind, own)) for text in ASKED))


def computed(host: Host, items: Sequence[Part]) -> tuple[Kept, list[Told]]:
    kept: Kept = {}
    told = host.run(lambda job: list(parts(job, host, items, kept)), title="parts")
    return kept, told


@pytest.mark.parametrize("kind", ["given", "words", "text", "own"])
def test_a_step_in_pieces_gives_what_it_gives_as_a_whole(kind, tiny_host) -> None:
    host = tiny_host("llama")
    whole = Reading(chunk(kind), tuple(treatments()))
    pieces = host.run(lambda job: whole.pieces(host), title="pieces")
    assert len(pieces) >= 3
    assert sorted(map(repr, (each.key for piece in pieces for each in piece.treatments))) == sorted(
        map(repr, (each.key for each in whole.treatments))
    )
    kept, told = computed(host, [whole])
    assert len(kept) == len(whole.treatments)
    assert len({repr(value) for value in kept.values()}) > len(kept) / 2, "treatments do something"
    assert sum(each.n for each in told) == len(ASKED) * len(whole.treatments)
    # The last first, since workers may end them in any order.
    apart, _ = computed(host, pieces[::-1])
    assert {key: repr(value) for key, value in apart.items()} == {key: repr(value) for key, value in kept.items()}


def test_nothing_is_read_that_is_kept_or_that_a_step_before_reads(tiny_host) -> None:
    host, first, second = tiny_host("llama"), chunk("words"), chunk("given")
    kept: Kept = {}
    some = treatments()[:4]
    reader = Reader(host, kept)
    host.run(lambda job: list(reader.read(job, first, some[1:2])), title="reading")
    steps = [(first, "", some), (first, "", [*some, treatments()[5]]), (second, "", some)]
    found = host.run(lambda job: unread(reader, steps), title="unread")
    assert [len(each.treatments) for each in found] == [3, 1, 4]


def test_a_pool_computes_instead_and_only_meanwhile(tiny_host) -> None:
    host = tiny_host("llama")
    item = Reading(chunk("words"), (UNSTEERED,))

    class Elsewhere:
        def parts(self, job, host, items, kept):
            kept["there"] = {}
            yield Told(0, ended=True)

    with spread_over(host, Elsewhere()):
        assert list(computed(host.under(None), [item])[0]) == ["there"]
    kept, told = computed(host, [item])
    assert "there" not in kept
    assert told == [Told(0), *[Told(0, 1)] * len(ASKED), Told(0, ended=True)]


def test_cells_of_a_grid_come_as_each_is_kept(tiny_host) -> None:
    host, kept = tiny_host("llama"), dict[str, dict]()
    recipe = Recipe.model_validate({"interventions": [], "decode": {"max_new_tokens": 2, "temperature": 1}})
    grid = Grid(parse_axis(f"seed: 0..{BATCH}"), None, recipe, "Hello.")
    counted = host.run(lambda job: [len(kept) for _ in run_cells(job, host, grid, {}, kept)], title="grid")
    assert counted == list(range(1, BATCH + 2))
