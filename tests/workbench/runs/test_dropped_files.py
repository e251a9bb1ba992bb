"""An exported file of any kind brings its run back: opened where it is kept, else as settings in its panel's form."""

from __future__ import annotations

import base64
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from steering.origins.carriers import file_origin, read_origin, stamped
from steering.origins.origin import Origin
from steering.studies import find_study
from steering.studies.again import settings_of
from tests.workbench.runs.every_study import TINY, Made
from workbench.bench import Workbench
from workbench.controls.fields import Fields
from workbench.frame.dropped import address_of, drop_function
from workbench.page.context import PanelContext
from workbench.page.state import PageState
from workbench.runs.code import as_files
from workbench.runs.origin import origin_of_run


PANELS = {"extract": "vectors", "methods": "vectors"}
WITHOUT_PAGE = (
    "pairs",
    "pair_worth",
    "self_rewarding",
    "axbench",
    "overoptimisation",
    "dictionary_health",
    "feature_cause",
    "feature_attribution",
    "feature_shift",
    "sae",
    "transcoder",
    "crosscoder",
)


@pytest.fixture
def bench(demo: Any, tmp_path: Path) -> Workbench:
    """Another workbench than the one where the runs were made."""
    made = Workbench(workspace=tmp_path / "bench", lane=demo.lane)
    made.model.host = demo
    return made


def _png(origin: Origin) -> bytes:
    """A picture of one point, as the format's specification has it, with the text chunk that the page writes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    parts = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))]
    parts += [(b"tEXt", b"Comment\0another one"), (b"tEXt", b"steering-workbench-origin\0" + origin.to_json().encode())]
    parts += [(b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def _svg(origin: Origin) -> bytes:
    said = f'<metadata id="steering-workbench-origin">{escape(origin.to_json(), quote=False)}</metadata>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="4">{said}<rect/></svg>'.encode()


def _files(made: Made, study: str, folder: Path) -> dict[str, bytes]:
    """Every kind of file that a run is exported as."""
    runs, id = made.workspace.runs, made.ids[study]
    result = runs.result(id)
    assert result is not None
    files = {path.name: path.read_bytes() for path in result.write(folder).iterdir()}
    origin = origin_of_run(runs.get(id))
    for kind in ("yaml", "notebook"):
        name, content = next(iter(as_files(made.workspace, id, kind).items()))
        files[name] = content
    return {**files, "figure.png": _png(origin), "figure.svg": _svg(origin)}


def test_every_kind_of_file_says_the_same(made: Made, tmp_path: Path) -> None:
    wanted = origin_of_run(made.workspace.runs.get(made.ids["tradeoff"]))
    files = _files(made, "tradeoff", tmp_path)
    kinds = {".csv", ".html", ".safetensors", ".json", ".yaml", ".ipynb", ".png", ".svg"}
    assert {Path(name).suffix for name in files} == kinds | {".py"}
    for name, content in files.items():
        if Path(name).suffix in kinds and name != "recipe.json":
            (tmp_path / name).write_bytes(content)
            assert file_origin(tmp_path / name).plain() == wanted.plain(), name
    assert wanted.run == made.ids["tradeoff"]
    assert wanted.model["weights_digest"]
    assert set(wanted.vectors) == {"formality"}
    assert wanted.versions["torch"]


def test_a_zip_carries_it_in_each_of_its_files(made: Made, tmp_path: Path) -> None:
    origin = Origin("grid", {}, {"name": "demo"}, run="0123")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        packed.writestr("a.csv", 'a,b\n"x#y",1\n')
        packed.writestr("b.txt", "untouched")
    (tmp_path / "all.zip").write_bytes(stamped("all.zip", (tmp_path / "all.zip").read_bytes(), origin))
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        assert read_origin("a.csv", packed.read("a.csv")) == origin
        assert packed.read("b.txt") == b"untouched"


def _shown(bench: Workbench, panel: str, settings: Any) -> dict[Any, Any]:
    """What changes on a panel's page that takes settings: component -> value."""
    (found,) = [each for each in bench.catalogue.panels if each.id == panel]
    changes: dict[Any, Any] = {}
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), found.title, found.id)
        found.build(ui)
        for taker in ui.takers:
            for part, change in taker.take(settings).items() if isinstance(settings, taker.kind) else ():
                value = change.get("value") if isinstance(change, Mapping) and "__type__" in change else change
                changes[part] = {**changes.get(part, {}), **value} if isinstance(part, Fields) else value
    return changes


@pytest.mark.parametrize("study", WITHOUT_PAGE)
def test_a_run_of_a_study_without_a_page_says_so(study: str, made: Made, bench: Workbench) -> None:
    with pytest.raises(SteeringError, match="no page here"):
        address_of(bench, origin_of_run(made.workspace.runs.get(made.ids[study])))


@pytest.mark.parametrize("study", [study for study in TINY if study not in WITHOUT_PAGE])
def test_settings_of_a_run_made_elsewhere_stand_in_the_form(study: str, made: Made, bench: Workbench) -> None:
    origin = origin_of_run(made.workspace.runs.get(made.ids[study]))
    address = address_of(bench, origin)
    panel, _, number = address.removeprefix("./").partition("?take=")
    assert panel == PANELS.get(study, study)
    taken = bench.sent.taken(number)
    assert taken is not None
    assert {name: getattr(taken.settings, name) for name in TINY[study]} == {
        name: getattr(find_study(study).parse(TINY[study]), name) for name in TINY[study]
    }
    assert f"run {made.ids[study]}" in taken.said[0]
    assert any("shelf has no vector" in each for each in taken.said) == bool(origin.vectors)
    shown = _shown(bench, panel, taken.settings)
    by_id = {part.elem_id: value for part, value in shown.items()}
    for form, values in shown.items():
        if isinstance(form, Fields):
            _check_form(form, values, taken.settings)
    if study == "grid":
        assert (by_id["grid-x"], by_id["grid-x-values"]) == ("strength", "0, 1")
        assert (by_id["grid-y"], by_id["grid-y-values"]) == ("vector", "formality, sentiment")
        assert by_id["grid-user"] == taken.settings.user
    if study == "steer":
        assert by_id["user"] == TINY["steer"]["user"]
    if study in ("steer", "grid", "tradeoff"):
        recipes = [value for value in shown.values() if type(value).__name__ == "Recipe"]
        assert [each.vectors for each in recipes] == [("formality",)]
    if study == "extract":
        assert by_id["contrast"] == "formality"


def _check_form(form: Fields, values: dict[str, Any], settings: Any) -> None:
    """What a form shows is read back as the settings."""
    filled = form.given(values)
    assert not filled.problems
    named = [name for name in values if name in type(settings).model_fields]
    assert len(named) >= 3
    left_out = {name for name in named if filled.ready[name] is None and getattr(settings, name) is not None}
    again = type(settings).model_validate({name: filled.ready[name] for name in named if name not in left_out})
    told, wanted = again.model_dump(), settings.model_dump()
    assert {name: told[name] for name in named if name != "prompts"} == {
        name: wanted[name] for name in named if name != "prompts"
    }
    if isinstance(getattr(settings, "pooling", None), tuple):
        assert filled.ready["positions"] == "-2, -1"


def test_a_run_that_is_kept_here_is_opened(made: Made, bench: Workbench) -> None:
    first = made.workspace.runs.get(made.ids["grid"])
    id = bench.workspace.runs.begin(replace(first, panel="grid"))
    bench.workspace.runs.end(id, "done")
    origin = origin_of_run(bench.workspace.runs.get(id))
    assert address_of(bench, origin) == f"./grid?run={id}" == f"./{origin.address}"


def test_what_is_missing_is_said(made: Made, bench: Workbench) -> None:
    origin = origin_of_run(made.workspace.runs.get(made.ids["steer"])).without_texts()
    other = replace(origin, model={**origin.model, "name": "demo-base"}, files={"alignment": "alignment-mine.csv"})
    for name, vector in made.workspace.runs.used(made.ids["grid"]).items():
        bench.workspace.put(vector, "formality" if name == "sentiment" else "another")
    taken = bench.sent.taken(address_of(bench, other).partition("take=")[2])
    assert taken is not None
    told = " ".join(taken.said)
    for said in ("on demo-base; this is demo", "formality on this shelf is not the vector", "leaves out turns, user"):
        assert said in told
    assert "uploaded again: alignment-mine.csv" in told


HOSTILE = '"><img src=x onerror=alert(1)>'


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"a,b\n1,2\n", "does not say which run"),
        ("a.png", _png(Origin("grid", {}, {"name": "demo"}))[:60], "does not say which run"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\xff" * 4000, "does not say which run"),
        ("a.safetensors", b"\xff" * 100, "does not say which run"),
        ("a.svg", b'<svg><metadata id="steering-workbench-origin">{', "does not say which run"),
        ("a.html", b"<html>" * 1000, "does not say which run"),
        ("a.pdf", b"%PDF", "does not say which run"),
        ("a.json", b"[" * 100_000, "does not say which run"),
        ("a.yaml", b"a: &a [*a]", "stands inside what it stands for"),
        (f"{HOSTILE}.csv", b"", "does not say which run"),
        ("a.json", json.dumps({**Origin("grid", {}, {"name": "x"}).plain(), "version": 99}).encode(), "version 99"),
        ("a.json", json.dumps(Origin("theirs", {}, {"name": "x"}).plain()).encode(), "study &#x27;theirs&#x27;"),
        ("a.json", json.dumps(Origin(HOSTILE, {}, {"name": "x"}).plain()).encode(), "&lt;img"),
        ("a.json", json.dumps(Origin("grid", {"x": {}}, {"name": "x"}).plain()).encode(), "field x"),
        ("a.json", json.dumps(Origin("extract", {"seed": 1e999}, {"name": "x"}).plain()).encode(), "field seed"),
    ],
)
def test_any_other_file_is_one_clear_card(name: str, content: bytes, said: str, bench: Workbench) -> None:
    dropped = drop_function(bench)
    (card,) = dropped({"name": name, "data": base64.b64encode(content).decode()}).values()
    assert said.replace("&#x27;", "'") in card.replace("&#x27;", "'").replace("&#39;", "'")
    assert "<img" not in card
    for wrong in (None, [], {}, {"name": name}, {"name": 1, "data": ""}, {"name": name, "data": "***"}):
        assert "sent no file" in dropped(wrong)["card"]


def test_a_file_of_a_newer_default_keeps_the_runs_own(made: Made) -> None:
    """What a default was then is what a run had."""
    origin = origin_of_run(made.workspace.runs.get(made.ids["extract"]))
    older = replace(origin, defaults={**origin.defaults, "seed": 41, "gone": 1})
    assert settings_of(older).model_dump()["seed"] == 41
    with pytest.raises(SteeringError, match="gone"):
        settings_of(replace(origin, settings={"gone": 1}))
