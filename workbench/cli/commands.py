"""What the commands have in common behind their options: settings, vectors by name, recipes, and what they print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError
from rich.markup import escape
from rich.table import Table

from steering.errors import SteeringError
from steering.model.host import Host
from steering.passes.decoding import time_steps
from steering.passes.replies import Reply
from steering.paths import is_file
from steering.recipes.control_vectors import control_lengths
from steering.recipes.modes import MODES
from steering.recipes.orthogonal import orthogonalised, save_model
from steering.recipes.recipe import Intervention, Recipe, parse_blocks
from steering.selfcheck import self_check
from steering.studies.study import Result, Study
from steering.studies.without_texts import without_texts
from steering.validation import validation_error
from steering.vectors.card import last_block_note
from steering.vectors.files import load_vector, save_vector
from steering.vectors.gguf import feature_note, mean_differences, save_gguf
from steering.vectors.strength import in_all_units
from steering.vectors.vector import SteeringVector
from workbench.cli.console import ERR, OUT, table
from workbench.controls.estimate_words import estimate
from workbench.workspace import Workspace


def tell_size(host: Host, study: Study, settings: BaseModel) -> None:
    """Say on standard error, before a study runs, what it will do and about how long it takes on this model."""
    if study.size is None:
        return
    size = study.size(host, settings)
    if not size.done:
        time_steps(host)
    ERR.print(estimate(size, host), highlight=False)


def finish(study: Study, result: Result, out: Path | None, *, texts: bool = True) -> None:
    """Print a study's main table and notes, and write its files, perhaps without texts, where a folder was given."""
    OUT.print(table(study.shown(result), study.title))
    for note in result.notes:
        OUT.print(note, highlight=False)
    if out is not None:
        OUT.print(f"Written to {_written(result if texts else without_texts(result), out)}", highlight=False)


def _written(result: Result, out: Path) -> Path:
    """The folder that a result was written to.

    Raises:
        SteeringError: It could not be written there, and where it was written instead: it took long, and would go with
            the program.
    """
    try:
        return result.write(out)
    except SteeringError as error:
        try:
            elsewhere = result.write(mkdtemp(prefix="steering-workbench-"))
        except (OSError, SteeringError):
            raise error from None
        remedy = f"The result is in '{elsewhere}' instead. {error.remedy}"
        raise SteeringError(error.given, error.expected, remedy) from error


def print_settings(study: Study) -> None:
    """Every setting of a study: its default, what `--quick` makes of it, and what it means."""
    found = Table(title=study.title, title_justify="left", show_edge=False)
    for head in ("setting", "default", "with --quick", "meaning"):
        found.add_column(head, no_wrap=head == "setting", overflow="fold")
    plain = study.settings().model_dump(mode="json")
    for name, field in study.settings.model_fields.items():
        quick = _shown(study.quick[name]) if name in study.quick else ""
        found.add_row(name, escape(_shown(plain[name])), escape(quick), escape(field.description or ""))
    OUT.print(found)


def _shown(value: Any) -> str:
    """A setting as `--set` reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
    return {name: load_vector(name) if is_file(name) else shelf.get(name).vector for name in names}


def chosen_recipe(
    file: Path | None, names: list[str], fields: dict[str, Any], decode: dict[str, Any], workspace: Path | None
) -> tuple[Recipe, dict[str, SteeringVector]]:
    """The recipe of a file, or one saved in the workspace, or else one that applies the named vectors; and the vectors
    that it needs.

    Raises:
        SteeringError: No such file or vector, or naming the field that is wrong.
    """
    if file:
        saved = Workspace(workspace).recipes
        recipe = saved.get(str(file)) if str(file) in saved.names() and not is_file(file) else Recipe.load(file)
        return recipe, named_vectors(list(recipe.vectors), workspace)
    vectors = named_vectors(names, workspace)
    return recipe_of(vectors, fields, decode), vectors


def recipe_of(vectors: dict[str, SteeringVector], fields: dict[str, Any], decode: dict[str, Any]) -> Recipe:
    """The same mode, blocks, unit and scope for every vector; without a strength, what the page starts with: each
    vector's own suggestion in the unit asked for, 1 nat, the whole projection, 30 degrees.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    interventions = []
    for name, vector in vectors.items():
        blocks = parse_blocks(fields["blocks"])
        strength = first_strength(vector, fields) if fields["strength"] is None else fields["strength"]
        interventions.append({**fields, "vector": name, "blocks": blocks, "strength": strength})
    try:
        return Recipe.model_validate({"interventions": interventions, "decode": decode})
    except ValidationError as error:
        raise validation_error("The recipe", error, Recipe) from error


def first_strength(vector: SteeringVector, fields: dict[str, Any]) -> float:
    """What a strength starts with where none was given."""
    mode, unit = fields["mode"], fields["unit"]
    if unit == "nats":
        return 1.0
    if mode in MODES and not MODES[mode].length:
        scale = MODES[mode].scale
        return scale.first if scale else 1.0
    block = vector.default_block
    known = in_all_units(vector.suggested_strength, "mean_difference", vector, block)
    return known.get(unit, vector.suggested_strength)


def print_replies(
    recipe: Recipe,
    replies: Sequence[Reply],
    applied: Sequence[str],
    *,
    prefill: str,
    warnings: Sequence[str],
    as_json: bool,
) -> None:
    """Both texts, behind what both were made to begin with, with what was modified and where they part; or, for
    programs, one JSON object with the recipe.
    """
    if as_json:
        content = {
            "recipe": recipe.model_dump(mode="json"),
            "applied": list(applied),
            "prefill": prefill,
            "replies": [_reply(reply) for reply in replies],
            "warnings": list(warnings),
        }
        print(json.dumps(content, ensure_ascii=False))
        return
    for title, reply in zip(("Unsteered", "Steered"), replies, strict=True):
        OUT.print(f"\n[bold]{title}[/]")
        begun = escape(prefill)
        if reply.thought or not reply.finished:
            state = "" if reply.finished else " (cut off before an answer)"
            OUT.print(f"{begun}[dim]Thought{state}: {escape(reply.thought)}[/]\n", highlight=False)
            begun = ""
        OUT.print(f"{begun}{escape(reply.answer)}", highlight=False)
    for line in applied:
        OUT.print(f"\n[dim]{escape(line)}[/]", highlight=False)
    written, divergence = replies[1].written, replies[1].divergence
    OUT.print(f"\n[dim]{written.prompt} prompt + {written.generated} generated positions modified[/]", highlight=False)
    if divergence is None:
        OUT.print("[dim]Both texts are the same.[/]")
        return
    columns = ("token", "unsteered", "steered")
    frame = pd.DataFrame([dict(zip(columns, candidate, strict=True)) for candidate in divergence.candidates])
    frame["token"] = frame["token"].map(repr)
    after = f"after “{divergence.context[-60:]}”" if divergence.context else "at the very beginning"
    OUT.print(table(frame, f"The first token that differs, {after}"))


def _reply(reply: Reply) -> dict[str, Any]:
    """A reply for programs, taken apart."""
    content = asdict(reply)
    del content["parts"]
    return {**content, "thought": reply.thought, "answer": reply.answer, "finished": reply.finished}


def print_checks(host: Host, *, as_json: bool) -> bool:
    """Run the self-check, print its table or JSON, and say whether no check failed."""
    rows = []
    with ERR.status(f"Checking {host.name}") as status:
        for check in self_check(host):
            rows.append(check)
            status.update(f"Checking {host.name}: {check.name}, {check.outcome}")
    failed = [check.name for check in rows if check.outcome == "fail"]
    if as_json:
        print(json.dumps([asdict(check) for check in rows], ensure_ascii=False))
        return not failed
    lines = [
        {
            "check": check.name,
            "outcome": f"[{_OUTCOMES[check.outcome]}]{check.outcome}[/]",
            "what a pass means": check.meaning,
            "measured": escape(check.detail),
        }
        for check in rows
    ]
    OUT.print(table(pd.DataFrame(lines), f"Self-check of {host.name}"))
    if failed:
        OUT.print(f"\n{host.name} can be used, but do not trust what depends on: {', '.join(failed)}.", highlight=False)
    else:
        OUT.print(f"\n{host.name} is read and written rightly.", highlight=False)
    return not failed


_OUTCOMES = {"pass": "green", "fail": "bold red", "not applicable": "dim"}


def export_vector(vector: SteeringVector, out: Path, *, at: str, strength: float, unit: str) -> list[str]:
    """Write a vector as the file's ending says, and say what was written.

    Raises:
        SteeringError: Another ending, or what `steering.vectors.gguf.save_gguf` raises.
    """
    if out.suffix == ".safetensors":
        return [
            f"Written to {save_vector(vector, out)}",
            *filter(None, [last_block_note(vector, range(vector.n_blocks))]),
        ]
    if out.suffix != ".gguf":
        raise SteeringError(f"The file '{out.name}' was to be written.", "a name ending in .safetensors or .gguf.")
    lengths = mean_differences(vector)
    if at:
        given = {"vector": vector.name, "blocks": parse_blocks(at), "strength": strength, "unit": unit}
        try:
            intervention = Intervention.model_validate(given)
        except ValidationError as error:
            raise validation_error("What is to be exported", error, Intervention) from error
        lengths = control_lengths(vector, intervention)
    adds = ", ".join(f"{length:.3g} at block {block}" for block, length in lengths.items())
    written = f"Written to {save_gguf(vector, out, lengths)}"
    minded = [last_block_note(vector, lengths), feature_note(vector)]
    return [written, f"Scale 1 adds, in raw units: {adds}.", *filter(None, minded)]


def import_note(vector: SteeringVector) -> str:
    """What to mind of another program's control vector; of other files `steering.vectors.foreign` says it."""
    blocks = vector.mean_differences.nonzero()[:, 0].tolist()  # the others are filled in
    return last_block_note(vector, blocks) if vector.provenance.method == "imported from GGUF" else ""


def check_new_model(vector: str, out: Path, *, agreed: bool) -> None:
    """Raise what stands against saving a model without a vector's direction, before one is loaded.

    Raises:
        SteeringError: Without `agreed`, or a folder that is not empty.
    """
    if not agreed:
        raise SteeringError(
            f"A model without the direction of '{vector}' was to be saved.",
            "the flag --save-edited-weights, which says that you mean it: what the direction carries, such as "
            "refusals, is gone from the copy.",
            "Give the flag, or ablate the direction while the model runs: steer --mode ablate --at everywhere.",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SteeringError(f"'{out}' is there already.", "a new folder, or an empty one.", "Choose another.")


def save_orthogonalised(host: Host, vector: SteeringVector, out: Path, *, block: int | None) -> str:
    """Write a model with orthogonalised weights into a new folder, and say so.

    Raises:
        SteeringError: A vector that does not fit, and what `steering.recipes.orthogonal.orthogonalised` raises.
    """
    direction = vector.check(host).directions[host.sites.check_block(vector.default_block if block is None else block)]
    edited = orthogonalised(host, direction)
    return f"Written to {save_model(edited, out, made_from=host, vectors=[vector])}"
