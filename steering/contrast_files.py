"""Contrast sets as files: YAML, JSONL and CSV, read into one layout with every mistake named by file, row and field."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from steering.errors import SteeringError
from steering.resources import resource


FORMATS = ".yaml, .yml, .jsonl or .csv"
LAYOUT = "either `pairs` (each with positive and negative) or two lists, `positive` and `negative`"


def presets() -> tuple[str, ...]:
    """Names of the contrast sets that ship with the project."""
    return tuple(sorted(path.stem for path in resource("presets", "contrast").glob("*.yaml")))


def read_contrast(path: Path) -> Mapping[str, Any]:
    """A file's content as a mapping with `pairs`, or with `positive` and `negative`.

    Raises:
        SteeringError: Not UTF-8, an unknown ending, or a row that cannot be read.
    """
    name, ending = path.name, path.suffix.lower()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SteeringError(f"{name} is not UTF-8 text.", f"{FORMATS} in UTF-8.", "Save it as UTF-8.") from error
    if ending in (".yaml", ".yml"):
        return _yaml(name, text)
    if ending == ".jsonl":
        return _from_rows(_jsonl(name, text), name)
    if ending == ".csv":
        return _from_rows(_csv(name, text), name)
    raise SteeringError(f"{name} has the ending '{path.suffix}'.", f"{FORMATS}.", "Convert or rename the file.")


def find_contrast(source: str | Path) -> Path:
    """The file of a preset or a path.

    Raises:
        SteeringError: There is none.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if isinstance(source, str) and source in presets():
        return resource("presets", "contrast", f"{source}.yaml")
    raise SteeringError(
        f"There is no contrast set '{source}'.",
        f"a preset ({', '.join(presets())}) or the path of a {FORMATS} file.",
        "Check the name or the path.",
    )


def _yaml(name: str, text: str) -> Mapping[str, Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        place = f", line {where.line + 1}" if where else ""
        raise SteeringError(
            f"{name}{place} is not valid YAML: {getattr(error, 'problem', error)}.",
            "a mapping with `pairs`, or with `positive` and `negative`.",
            "Mend that line.",
        ) from error
    if not isinstance(data, dict):
        raise SteeringError(f"{name} holds no mapping.", f"{LAYOUT}.", "See the shipped presets for the layout.")
    return data


def _jsonl(name: str, text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise SteeringError(
                f"{name}, row {number} is not valid JSON: {error.msg}.", "one JSON object per line.", "Mend that row."
            ) from error
        if not isinstance(row, dict):
            raise SteeringError(
                f"{name}, row {number} is no JSON object.", "one JSON object per line.", "Mend that row."
            )
        rows.append({**row, "_row": number})
    return rows


def _csv(name: str, text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(text.splitlines())
    fields = set(reader.fieldnames or ())
    if not ({"positive", "negative"} <= fields or {"text", "label"} <= fields):
        raise SteeringError(
            f"{name} has the columns {', '.join(sorted(fields)) or '(none)'}.",
            "positive and negative, or text and label; split is optional.",
            "Name the columns in the first row.",
        )
    return [{**row, "_row": number} for number, row in enumerate(reader, start=2)]


def _from_rows(rows: list[dict[str, Any]], name: str) -> Mapping[str, Any]:
    if not rows:
        raise empty_set(name)
    if "label" not in rows[0]:
        return {"pairs": rows}
    sides: dict[str, list[Any]] = {"positive": [], "negative": []}
    for row in rows:
        label = str(row.get("label", "")).strip().lower()
        if label not in sides:
            raise SteeringError(
                f"{name}, row {row['_row']}, field label: '{row.get('label')}'.",
                "positive or negative.",
                "Correct that row.",
            )
        sides[label].append({"user": row.get("text"), "split": row.get("split"), "_row": row["_row"]})
    return sides


def empty_set(name: str) -> SteeringError:
    """The error for a set with nothing on one side."""
    return SteeringError(
        f"The contrast set {name} is empty on at least one side.",
        "at least 4 prompts on each side.",
        "Add positive and negative prompts.",
    )
