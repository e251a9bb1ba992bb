"""Whatever is given as settings, recipes, ranges, names and commands: a value, or one clear message.

20 to 50 examples a test here; `make fuzz`, or STEERING_FUZZ=10000, looks at that many.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from steering.errors import SteeringError
from steering.names import safe_name
from steering.passes.pooling import parse_pooling
from steering.ranges import sweep, whole_numbers
from steering.recipes.recipe import Intervention, Recipe, parse_blocks
from steering.studies import STUDIES
from steering.studies.grid.axes import parse_axis
from steering.texts.contrast_files import presets
from steering.vectors.files import load_vector, save_vector
from tests.fuzzing import HOSTILE, HOSTILE_TEXTS, examples
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.cli.main import app
from workbench.controls.recipe_reading import read_draft, read_text
from workbench.frame.shelf_cards import shelf_cards
from workbench.key_values import pairs


def check_message(error: SteeringError) -> None:
    """One that anybody can be shown."""
    assert error.given
    assert len(str(error)) < 20_000
    str(error).encode()


def quietly(function: Any, *values: Any) -> Any:
    """What a function gives, None where it refuses with a clear message."""
    try:
        return function(*values)
    except SteeringError as error:
        check_message(error)
        return None


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
@examples(20)
@given(data=st.data())
def test_settings_of_every_study(study, data) -> None:
    fields = st.sampled_from([*study.settings.model_fields, "unknown", ""])
    asked = data.draw(st.dictionaries(fields, HOSTILE, min_size=1, max_size=3))
    parsed = quietly(study.parse, asked)
    if parsed is not None:
        json.dumps(parsed.model_dump(mode="json"), ensure_ascii=False).encode()
        assert study.parse(parsed.model_dump(mode="json")) == parsed


@pytest.mark.parametrize(
    ("study", "given"),
    [
        ("refusal", {"max_kl": "1e999999999"}),
        ("refusal", {"n_train": "100000000"}),
        ("extract", {"pooling": ["9", "0-5"]}),
        ("tradeoff", {"recipes": [{"interventions": [{"vector": "a", "strength": "1e999"}]}]}),
        ("tradeoff", {"recipes": [{"interventions": [{"vector": "a", "blocks": ["0-5"]}]}]}),
    ],
)
def test_a_number_written_as_a_text_is_held_to_the_same_bounds(study: str, given: dict[str, Any]) -> None:
    """pydantic makes infinity of "1e999" and -5 of "0-5"."""
    with pytest.raises(SteeringError, match=rf"Settings of {study}, .*\b{next(iter(given))}\b"):
        STUDIES[study].parse(given)


BEYOND = {
    "count": 10**20,
    "seed": 2**63,
    "negative": -1,
    "nan": float("nan"),
    "infinity": float("inf"),
    "digits": 10**5000,
    "nul": "a\0b",
    "long": "x" * 200_000,
    "half": "\ud800",
}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
@pytest.mark.parametrize("value", BEYOND.values(), ids=BEYOND)
def test_no_field_takes_what_no_study_could_do(study, value) -> None:
    refused = 0
    for name in study.settings.model_fields:
        try:
            found = getattr(study.parse({name: value}), name)
        except SteeringError as error:
            check_message(error)
            refused += 1
            continue
        assert value == -1, (name, found)
    assert refused


@pytest.mark.parametrize("read", [whole_numbers, sweep, parse_pooling, parse_blocks, parse_axis, read_text, safe_name])
@examples(40)
@given(text=HOSTILE_TEXTS)
def test_ranges_axes_and_names(read, text) -> None:
    try:
        found = quietly(read, text)
    except ValueError:
        assert read is whole_numbers  # which says so of itself; whoever calls it knows better what was meant
        return
    if read is safe_name:
        assert len(f"{found} 999.safetensors".encode()) <= 255
        assert "/" not in found
    elif isinstance(found, tuple):
        assert len(found) <= 100_000


@examples(50)
@given(content=st.one_of(HOSTILE, st.dictionaries(st.sampled_from(["interventions", "decode", "model"]), HOSTILE)))
def test_recipes_in_files(tmp_path_factory, content) -> None:
    path = tmp_path_factory.getbasetemp() / "recipe.json"
    try:
        path.write_text(json.dumps(content), encoding="utf-8")
    except (ValueError, UnicodeEncodeError):
        path.write_bytes(repr(content)[:5000].encode("utf-8", "replace"))
    found = quietly(Recipe.load, path)
    assert found is None or isinstance(found.to_json(), str)


@examples(50)
@given(
    content=HOSTILE,
    fields=st.dictionaries(st.sampled_from([*Intervention.model_fields, "", "x"]), HOSTILE, max_size=4),
)
def test_recipes_from_a_page(content, fields) -> None:
    for given_ in (content, {"interventions": [{"vector": "v", **fields}]}, {"interventions": content}):
        draft = read_draft(given_)
        assert quietly(draft.recipe) is None or isinstance(draft.found.to_json(), str)


@examples(50)
@given(mode=HOSTILE, strength=HOSTILE, blocks=HOSTILE, scope=HOSTILE)
def test_recipes_are_made_or_refused(mode, strength, blocks, scope) -> None:
    fields = {"vector": "v", "mode": mode, "strength": strength, "blocks": blocks, "scope": scope}
    with suppress(ValidationError, SteeringError):
        Recipe.model_validate({"interventions": [fields]}).to_json()


@examples(40)
@given(texts=st.lists(HOSTILE_TEXTS, max_size=3), key=HOSTILE_TEXTS)
def test_settings_as_typed(texts, key) -> None:
    quietly(pairs, [f"{key}={text}" for text in texts] + texts)


@pytest.fixture(scope="module")
def shelved(tmp_path_factory) -> tuple[Workbench, Path]:
    """A workbench with a shelf of its own, and a vector's file as it should be."""
    folder = tmp_path_factory.mktemp("shelf")
    return Workbench(workspace=folder / "home"), save_vector(vector(), folder / "whole.safetensors")


@examples(50)
@given(
    changes=st.dictionaries(
        st.sampled_from(
            [
                "version",
                "name",
                "site",
                "blocks",
                "width",
                "default_block",
                "provenance",
                "suggested_strength",
                "default_block_reason",
                "n_train",
                "method",
                "created",
                "settings",
                "positive_label",
            ]
        ),
        HOSTILE,
        min_size=1,
    )
)
def test_cards_of_vector_files(shelved, changes) -> None:
    bench, whole = shelved
    with safe_open(whole, framework="pt") as file:
        metadata = dict(file.metadata())
    card = json.loads(metadata["card"])
    for key, value in changes.items():
        (card if key in card or not isinstance(card["provenance"], dict) else card["provenance"])[key] = value
    try:
        text = json.dumps(card)
    except ValueError:
        return
    path = bench.workspace.shelf / "odd.safetensors"
    path.unlink(missing_ok=True)
    save_file(load_file(whole), path, metadata={**metadata, "card": text})
    quietly(load_vector, path)
    drawn = shelf_cards(bench)
    json.dumps(drawn, ensure_ascii=False, allow_nan=False).encode()
    assert "odd" in [card["name"] for card in drawn]


COMMANDS = ["run", "settings", "extract", "steer", "import", "export", "orthogonalise", "panels", "data"]
OPTIONS = [
    "--set",
    "--out",
    "--vector",
    "--at",
    "--strength",
    "--unit",
    "--mode",
    "--recipe",
    "--blocks",
    "--block",
    "--name",
    "--first",
    "--method",
    "--pooling",
    "--length",
    "--seed",
    "--sign",
    "--scale",
    "--panels-dir",
    "--quick",
    "--json",
    "--dtype",
]


@examples(20)
@given(data=st.data())
def test_command_lines(tmp_path_factory, data) -> None:
    """No model is loaded: the one that is named is not there."""
    folder = tmp_path_factory.getbasetemp() / "commands"
    folder.mkdir(exist_ok=True)
    command = data.draw(st.sampled_from(COMMANDS))
    words = st.one_of(st.sampled_from([*STUDIES, *presets(), *OPTIONS, str(folder), "joy", "out.gguf"]), HOSTILE_TEXTS)
    line = [command, *data.draw(st.lists(words, max_size=6))]
    if command in ("run", "extract", "steer", "orthogonalise"):
        line += ["--model", str(folder / "no-model")]
    if command in ("run", "extract", "steer", "orthogonalise", "import", "export"):
        line += ["--workspace", str(folder / "home")]
    done = CliRunner().invoke(app, line)
    assert done.exit_code in (0, 1, 2), (line, done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), (line, done.exception)


@pytest.mark.parametrize("line", [["import"], ["export", "joy"], ["data"], ["run", "grid", "--set", "vectors="]])
def test_a_name_that_is_too_long_for_a_file_names_none(tmp_path, line) -> None:
    name = "a" * 600  # of which the file system says so of itself
    line = [*line[:-1], line[-1] + name] if line[-1].endswith("=") else [*line, name]
    line += ["--model", "demo"] if line[0] == "run" else []
    line += ["--workspace", str(tmp_path)] if line[0] != "data" else []
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "Error" in done.output + done.stderr
