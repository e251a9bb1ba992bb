"""What the commands have in common behind their options: settings, vectors by name, recipes, and what they print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import ValidationError

from steering.decoding import Reply
from steering.errors import SteeringError
from steering.recipes import Recipe, parse_blocks, validation_error
from steering.studies.study import Result, Study
from steering.vectors import SteeringVector
from workbench.console import OUT, table
from workbench.workspace import Workspace


def pairs(settings: list[str]) -> dict[str, Any]:
    """`key=value` texts as a mapping; a value that reads as YAML (a number, a list, true) becomes one.

    Raises:
        SteeringError: A text without an equals sign.
    """
    given = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise SteeringError(f"--set {setting} was given.", "key=value.", "Write, for example, --set seed=1.")
        try:
            given[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            given[key.strip()] = value
    return given


def finish(study: Study, result: Result, out: Path | None) -> None:
    """Print a study's main table and notes, and write its files where a folder was given."""
    OUT.print(table(result.tables[result.headline], study.title))
    for note in result.notes:
        OUT.print(note, highlight=False)
    if out is not None:
        OUT.print(f"Written to {result.write(out)}", highlight=False)


def named_vectors(names: list[str], workspace: Path | None) -> dict[str, SteeringVector]:
    """Vectors by their names on the shelf, or by file.

    Raises:
        SteeringError: None was named, or one is not there.
    """
    if not names:
        raise SteeringError(
            "No vector was named.", "--vector with a name on the shelf or a file.", "Run `workbench extract` first."
        )
    shelf = Workspace(workspace)
    return {name: SteeringVector.load(name) if Path(name).is_file() else shelf.get(name).vector for name in names}


def recipe_of(vectors: dict[str, SteeringVector], fields: dict[str, Any], decode: dict[str, Any]) -> Recipe:
    """The same mode, blocks, unit and scope for every vector; without a strength, each vector's own suggestion.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    interventions = []
    for name, vector in vectors.items():
        suggested = 1.0 if fields["mode"] == "ablate" else vector.suggested_strength
        strength = suggested if fields["strength"] is None else fields["strength"]
        blocks = parse_blocks(fields["blocks"])
        interventions.append({**fields, "vector": name, "blocks": blocks, "strength": strength})
    try:
        return Recipe.model_validate({"interventions": interventions, "decode": decode})
    except ValidationError as error:
        raise validation_error("The recipe", error) from error


def print_replies(recipe: Recipe, replies: Sequence[Reply], *, as_json: bool) -> None:
    """Both texts with what was modified and where they part; or, for programs, one JSON object with the recipe."""
    if as_json:
        content = {"recipe": recipe.model_dump(mode="json"), "replies": [asdict(reply) for reply in replies]}
        print(json.dumps(content, ensure_ascii=False))
        return
    for title, reply in zip(("Unsteered", "Steered"), replies, strict=True):
        OUT.print(f"\n[bold]{title}[/]")
        OUT.print(reply.text, markup=False, highlight=False)
    written, divergence = replies[1].written, replies[1].divergence
    OUT.print(f"\n[dim]{written.prompt} prompt + {written.generated} generated positions modified[/]", highlight=False)
    if divergence is None:
        OUT.print("[dim]Both texts are the same.[/]")
        return
    columns = ("token", "unsteered", "steered")
    frame = pd.DataFrame([dict(zip(columns, candidate, strict=True)) for candidate in divergence.candidates])
    frame["token"] = frame["token"].map(repr)
    OUT.print(table(frame, f"The first token that differs, after “{divergence.context[-60:]}”"))
