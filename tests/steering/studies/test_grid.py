"""Grids: cells of one batch are those of one run each and are kept by content; bad axes are refused before work."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.lane import Stopped
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.pace import note_step, seconds_per_step
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.studies import find_study
from steering.studies.grid import Cell, Grid, cell_table, check_grid, parse_axis, run_cells, size_of_grid
from steering.texts.contrast import ContrastSet
from steering.vectors.files import save_vector
from steering.vectors.vector import SteeringVector
from tests.conftest import tiny_model
from workbench.controls.estimate_words import estimate


TEXT = "Write a note."


@pytest.fixture(scope="module")
def vectors(tiny_host) -> dict[str, SteeringVector]:
    host = tiny_host("llama")
    return {name: extract(host, ContrastSet.load(name), name=name) for name in ("formality", "harm")}


def _recipe(**changes: Any) -> Recipe:
    first = Intervention.model_validate({"vector": "formality", "strength": 8.0, "blocks": (1,), **changes})
    return Recipe(interventions=(first,), decode=DecodeSettings(max_new_tokens=5))


def _run(host: Host, grid: Grid, vectors, store=None) -> list[Cell]:
    store = {} if store is None else store
    return host.run(lambda job: list(run_cells(job, host, grid, vectors, store)), title="grid")


def test_every_cell_is_what_its_recipe_alone_gives(tiny_host, vectors) -> None:
    host = tiny_host("llama")
    grid = Grid(parse_axis("strength: -8, 0, 8"), parse_axis("block: 0..2"), _recipe(), TEXT)
    cells = {(cell.x, cell.y): cell for cell in _run(host, grid, vectors)}
    assert len(cells) == 9
    prompt = render(host, TEXT)
    for x, strength in enumerate((-8.0, 0.0, 8.0)):
        for y, block in enumerate((0, 1, 2)):
            recipe = _recipe(strength=strength, blocks=(block,))
            (alone,) = generate(host, [Row(prompt, plan_of(recipe, host, vectors))], recipe.decode)
            cell = cells[x, y]
            assert cell.recipe == recipe
            assert (cell.text, cell.tokens, cell.finish) == (alone.text, len(alone.ids), alone.finish)
            assert (cell.divergence > 1e-3) == (strength != 0)
    assert len({cell.text for cell in cells.values()}) > 3


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("vector: formality, harm", [{"vector": "formality"}, {"vector": "harm"}]),
        ("mode: add, ablate", [{}, {"mode": "ablate", "strength": 1.0}]),
        ("scope: all, last", [{}, {"scope": "last"}]),
        ("block: 1-2, all", [{"blocks": (1,)}, {"blocks": (2,)}, {"blocks": "all"}]),
    ],
)
def test_an_axis_changes_the_first_intervention_and_nothing_else(axis, expected, tiny_host, vectors) -> None:
    strength = 1.0 if "ablate" in axis else 8.0
    cells = _run(tiny_host("llama"), Grid(parse_axis(axis), None, _recipe(strength=strength), TEXT), vectors)
    assert [cell.recipe for cell in cells] == [_recipe(**{"strength": strength, **changes}) for changes in expected]


def test_prompts_seeds_and_temperatures_are_axes(tiny_host, vectors) -> None:
    host = tiny_host("llama")
    asked = Grid(parse_axis("prompt: Hello there.\nGoodbye."), parse_axis("seed: 0..1"), _recipe(), TEXT)
    hot = asked.recipe.model_copy(update={"decode": DecodeSettings(max_new_tokens=5, temperature=1.5)})
    cells = _run(host, replace(asked, recipe=hot), vectors)
    assert {cell.user for cell in cells} == {"Hello there.", "Goodbye."}
    assert [cell.recipe.decode.seed for cell in sorted(cells, key=lambda c: (c.y, c.x))] == [0, 0, 1, 1]
    assert len({cell.text for cell in cells}) == 4
    warm = _run(host, Grid(parse_axis("temperature: 0, 2"), None, _recipe(), TEXT), vectors)
    assert len({cell.text for cell in warm}) == 2


def test_a_method_axis_extracts_the_same_set_by_each_method(tiny_host, vectors) -> None:
    host = tiny_host("llama")
    grid = Grid(parse_axis("method: mean_difference, logistic, random"), None, _recipe(), TEXT)
    cells = _run(host, grid, vectors)
    assert [cell.recipe.interventions[0].vector for cell in cells] == [
        f"formality ({method})" for method in ("mean_difference", "logistic", "random")
    ]
    (same,) = generate(host, [Row(render(host, TEXT), plan_of(_recipe(), host, vectors))], _recipe().decode)
    assert cells[0].text == same.text
    other = replace(grid, x=parse_axis("method: lda"))
    elsewhere = replace(vectors["formality"], provenance=replace(vectors["formality"].provenance, contrast="mine"))
    with pytest.raises(SteeringError, match="contrast set 'mine', which is not at hand"):
        _run(host, other, {"formality": elsewhere})


@pytest.mark.parametrize(
    "axes", [("vector: formality, harm", "method: random"), ("method: random", "vector: formality, harm")]
)
def test_a_method_is_one_of_the_vector_whichever_axis_it_is_on(axes, tiny_host, vectors) -> None:
    grid = Grid(parse_axis(axes[0]), parse_axis(axes[1]), _recipe(), TEXT)
    assert {"formality", "harm"} <= grid.vectors
    found = {cell.recipe.interventions[0].vector for cell in _run(tiny_host("llama"), grid, vectors)}
    assert found == {"formality (random)", "harm (random)"}


def test_finished_cells_are_kept_and_only_new_ones_are_generated(tiny_host, vectors) -> None:
    host, store = tiny_host("llama"), {}
    first = _run(host, Grid(parse_axis("strength: 0, 8"), None, _recipe(), TEXT), vectors, store)
    assert [cell.known for cell in first] == [False, False]
    json.dumps(store)  # a store may be a file
    more = Grid(parse_axis("strength: -8, 0, 8"), None, _recipe(), TEXT)
    again = {cell.x: cell for cell in _run(host, more, vectors, store)}
    assert [again[x].known for x in range(3)] == [False, True, True]
    assert [again[x].text for x in (1, 2)] == [cell.text for cell in first]


def test_a_cell_is_known_by_its_content_not_by_names(tiny_host, vectors, tokenizer, lane) -> None:
    host, store = tiny_host("llama"), {}
    grid = Grid(parse_axis("strength: 8"), None, _recipe(), TEXT)
    assert not _run(host, grid, vectors, store)[0].known
    assert _run(host, grid, vectors, store)[0].known
    assert not _run(host, grid, {"formality": vectors["harm"].renamed("formality")}, store)[0].known
    other_name = replace(grid, recipe=_recipe(vector="tone"))
    assert _run(host, other_name, {"tone": vectors["formality"].renamed("tone")}, store)[0].known
    assert not _run(host, replace(grid, system="Be brief."), vectors, store)[0].known
    assert not _run(host, replace(grid, user="Another."), vectors, store)[0].known
    model = tiny_model("llama")
    other = Host.wrap(type(model)(model.config), tokenizer, name=host.name, lane=lane)  # the name, other weights
    assert fingerprint(other) != fingerprint(host)
    assert not _run(other, grid, vectors, store)[0].known


def test_a_stopped_grid_keeps_what_is_done(tiny_host, vectors) -> None:
    host, store = tiny_host("llama"), {}
    grid = Grid(parse_axis("strength: 1..40"), None, _recipe(), TEXT)
    assert len(grid) == 40

    def work(job) -> list[Cell]:
        cells = []
        for cell in run_cells(job, host, grid, vectors, store):
            cells.append(cell)
            if len(cells) == 20:
                job.stop()
        return cells

    with pytest.raises(Stopped):
        host.submit(work, title="grid").result()
    assert 20 <= len(store) < 40
    cells = _run(host, grid, vectors, store)
    assert sum(cell.known for cell in cells) == len(store) - sum(not cell.known for cell in cells) >= 20


@pytest.mark.parametrize(
    ("x", "y", "changes", "said"),
    [
        ("colour: red", "", {}, "'kind: values' with one of"),
        ("strength:", "", {}, "is no number and no range"),
        ("seed: 0.5", "", {}, "whole numbers"),
        ("mode: add, dance", "", {}, "'dance'"),
        ("method: guess", "", {}, "'guess'"),
        ("scope: here", "", {}, "'here'"),
        ("prompt:  ", "", {}, "has no values"),
        ("seed: 0..200", "", {}, "201 values"),
        ("strength: 0..49", "seed: 0..49", {}, "2500 cells"),
        ("strength: 1", "strength: 2", {}, "Both axes are strength"),
        ("block: 0, 9", "", {}, "9"),
        ("vector: formality, unknown", "", {}, "There is no vector 'unknown'"),
        ("temperature: 0, 9", "", {}, "temperature"),
        ("strength: 1", "", {"vector": "lost"}, "There is no vector 'lost'"),
        ("mode: add, erase", "", {}, "eraser"),
        ("strength: 0, 1", "", {"mode": "feature_off"}, "has no strength.*whose factor 0 switches it off"),
        ("seed: 0, 1", "strength: 0, 1", {"mode": "erase"}, "has no strength"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_generated(x, y, changes, said, tiny_host, vectors) -> None:
    host = tiny_host("llama")
    with pytest.raises(SteeringError, match=said):
        check_grid(host, Grid(parse_axis(x), parse_axis(y) if y else None, _recipe(**changes), TEXT), vectors)


def test_a_recipe_without_interventions_has_no_strength_to_vary() -> None:
    with pytest.raises(SteeringError, match="the recipe has none"):
        Grid(parse_axis("strength: 1"), None, Recipe(), TEXT).asked()


def test_time_is_told_by_what_steps_took(tiny_host) -> None:
    host = Host.wrap(tiny_model("llama"), tiny_host("llama").tokenizer, name="fresh", lane=tiny_host("llama").lane)
    grid = Grid(parse_axis("seed: 0..39"), None, Recipe(decode=DecodeSettings(max_new_tokens=10)), TEXT)
    assert size_of_grid(host, grid, {}, {}).seconds(host) is None
    note_step(host, 1, 0.1)
    note_step(host, 16, 0.4)
    assert seconds_per_step(host, 16) == pytest.approx(0.4)
    assert seconds_per_step(host, 32) == pytest.approx(0.8)
    assert 0.1 < (seconds_per_step(host, 8) or 0) < 0.4
    assert size_of_grid(host, grid, {}, {}).seconds(host) == pytest.approx(3 * 10 * 0.4)


def test_what_is_kept_of_a_grid_is_counted_before_it_runs(tiny_host, vectors) -> None:
    host, kept = tiny_host("llama"), {}
    small, large = (Grid(parse_axis(f"strength: {values}"), None, _recipe(), TEXT) for values in ("0, 4", "0, 4, 8"))
    assert size_of_grid(host, small, vectors, kept).known == 0
    job = host.submit(lambda job: list(run_cells(job, host, small, vectors, kept)), title="grid")
    assert len(job.result()) == 2
    size = size_of_grid(host, large, vectors, kept)
    assert (size.count("replies"), size.known, size.done) == (3, 2, None)
    assert estimate(size, None) == "Up to 3 replies of at most 5 tokens."
    assert estimate(size_of_grid(host, small, vectors, kept), host) == "Kept already: shown in a few seconds."


def test_the_study_runs_headless_with_vectors_from_a_folder(tiny_host, vectors, tmp_path) -> None:
    host, study = tiny_host("llama"), find_study("grid")
    save_vector(vectors["formality"], tmp_path / "formality.safetensors")
    given = {"x": "strength: 0, 8", "y": "block: 1, 2", "vectors": str(tmp_path), "recipe": _recipe().model_dump()}
    job = study.start(host, study.parse(given))
    table = job.result().tables["cells"]
    assert list(table["strength"]) == ["0", "8", "0", "8"]
    assert list(table["block"]) == ["1", "1", "2", "2"]
    assert table["text"].str.len().min() > 0
    assert table["kl_p95_nats"][0] == 0
    assert table["modified_prompt"][1] == len(render(host, "Write a note to my boss about the meeting."))
    with pytest.raises(SteeringError, match="There is no vector 'formality'"):
        study.start(host, study.parse({**given, "vectors": str(tmp_path / "empty")})).result()


def test_a_table_is_in_grid_order(tiny_host, vectors) -> None:
    host = tiny_host("llama")
    grid = Grid(parse_axis("strength: 0, 8"), parse_axis("seed: 0, 1"), _recipe(), TEXT)
    table = cell_table(grid, list(reversed(_run(host, grid, vectors))))
    assert [(row["strength"], row["seed"]) for row in table] == [("0", "0"), ("8", "0"), ("0", "1"), ("8", "1")]
    assert torch.tensor([row["kl_p95_nats"] for row in table]).max() > 0
