"""Plain lists of texts, from files and from data sets on the Hub."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from steering.errors import SteeringError


HUB = "hub:"
"""What a source on the Hub begins with: `hub:owner/name`, perhaps with a file, `hub:owner/name/data/train.csv`."""
COLUMNS = ("text", "prompt", "instruction", "goal", "question", "behavior", "user", "Goal", "Behavior")
"""Columns that are taken for the texts where none is named."""
_ENDINGS = (".txt", ".jsonl", ".json", ".csv", ".parquet")


def read_texts(source: str | Path, column: str = "") -> tuple[str, ...]:
    """Texts in file order, without empty ones.

    Args:
        source: A .txt file with one text a line, a .jsonl, .json, .csv or .parquet file, or a data set on the Hub.
        column: Which column holds the texts; the first of `COLUMNS` where empty.

    Raises:
        SteeringError: No such file, another kind of file, no such column, or nothing in it.
    """
    path = local_file(source)
    rows = rows_of(path)
    texts = tuple(text for row in rows if (text := _text(row, column, path.name)))
    if not texts:
        raise SteeringError(f"{path.name} holds no texts.", "at least one.", "Choose another file.")
    return texts


def rows_of(path: Path) -> list[Any]:
    """What a file holds: a mapping a row, or a text a line of a .txt file.

    Raises:
        SteeringError: Another kind of file, or one that cannot be read.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise SteeringError(f"'{path.name}' was given as a list.", f"a file ending in {', '.join(_ENDINGS)}.")
    try:
        return _rows(path)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SteeringError(
            f"{path.name} is not UTF-8 text: line {line} has the byte 0x{error.object[error.start]:02x}.",
            "a text file in UTF-8.",
            "Save it as UTF-8.",
        ) from error
    except (ValueError, csv.Error, OSError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SteeringError(
            f"{path.name} cannot be read: {what}.", f"a well-formed {path.suffix} file.", "Mend the file."
        ) from error


def local_file(source: str | Path) -> Path:
    """The file of a path, or of a data set on the Hub, which is downloaded once.

    Raises:
        SteeringError: There is none, or the Hub cannot be reached.
    """
    if isinstance(source, str) and source.startswith(HUB):
        return _from_hub(source.removeprefix(HUB))
    path = Path(source).expanduser()
    if not path.is_file():
        raise SteeringError(
            f"There is no file '{source}'.", f"a path, or a data set as {HUB}owner/name.", "Check the path."
        )
    return path


def _from_hub(name: str) -> Path:
    from huggingface_hub import HfApi, hf_hub_download

    parts = name.strip("/").split("/")
    repo, inside = "/".join(parts[:2]), "/".join(parts[2:])
    if len(parts) < 2:
        raise SteeringError(f"The data set '{HUB}{name}' was asked for.", f"{HUB}owner/name, perhaps with a file.")
    try:
        if not inside:
            known = HfApi().list_repo_files(repo, repo_type="dataset")
            inside = _first_data_file(repo, known)
        return Path(hf_hub_download(repo, inside, repo_type="dataset"))
    except SteeringError:
        raise
    except Exception as error:  # the Hub's client raises a dozen kinds, all of which mean this
        raise SteeringError(
            f"The data set {repo} cannot be read from the Hub: {type(error).__name__}.",
            "a public data set, or one that you are logged in for, and a network.",
            "Check the name, or download a file of it and give its path.",
        ) from error


def _first_data_file(repo: str, known: list[str]) -> str:
    data = [path for path in known if Path(path).suffix.lower() in _ENDINGS and "readme" not in path.lower()]
    train = [path for path in data if "train" in path.lower()]
    if not data:
        raise SteeringError(
            f"The data set {repo} has no data file.",
            f"a file ending in {', '.join(_ENDINGS)}; it has {', '.join(known[:5]) or 'none'}.",
            "Name a file of it: hub:owner/name/path/in/it.csv.",
        )
    return (train or data)[0]


def _rows(path: Path) -> list[Any]:
    ending = path.suffix.lower()
    if ending == ".parquet":
        import pandas as pd

        return pd.read_parquet(path).to_dict("records")
    text = path.read_text(encoding="utf-8-sig")  # as some programs write UTF-8, with a mark in front
    if ending == ".csv":
        return _table(text)
    if ending == ".json":
        rows = json.loads(text)
        return rows if isinstance(rows, list) else [rows]
    # Not `splitlines`: JSON may hold line separators of other kinds as they are.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if ending == ".jsonl":
        return [_parsed(line, number) for number, line in lines]
    return [line for _, line in lines]


def _parsed(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from error


def _table(text: str) -> list[dict[str, str]]:
    rows = [row for row in csv.reader(text.splitlines(keepends=True), strict=True) if row]
    names, found = rows[0] if rows else [], []
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} fields, the header {len(names)}")
        found.append(dict(zip(names, row, strict=True)))
    return found


def _text(row: Any, column: str, name: str) -> str:
    if isinstance(row, dict):
        chosen = column or next((each for each in COLUMNS if each in row), "")
        if chosen not in row:
            raise SteeringError(
                f"{name} has the columns {', '.join(map(str, row)) or '(none)'}.",
                f"the column '{column}'." if column else f"one of {', '.join(COLUMNS)}, or a column that you name.",
                "Name the column that holds the texts.",
            )
        row = row[chosen]
    return str(row).strip() if row is not None else ""
