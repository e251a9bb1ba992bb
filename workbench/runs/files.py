"""What a run leaves on disk beside the list: its result whole, and what its page showed; read back without a model."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from math import nan
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd
import pyarrow as pa

from steering.errors import SteeringError
from steering.names import safe_name
from steering.studies.dictionaries.folders import copy as copy_dictionary
from steering.studies.study import RESULT, Measure, Result
from steering.vectors.files import load_vector, save_vector
from steering.vectors.vector import SteeringVector
from workbench.runs import run_file
from workbench.runs.leftovers import NEW
from workbench.runs.run import Run


VIEW = "view.json"
"""What the page showed at the end."""
DETAILS = "details"
"""What clicks on it open, a file for each kind."""
DICTIONARIES = "dictionaries"
"""Copies of the sparse dictionaries that it trained, a folder for each."""
_TABLES, _VECTORS, _TEXTS = "tables", "vectors", "files"
_PARTS = (_TABLES, _TEXTS, _VECTORS, DICTIONARIES, VIEW, RESULT)
"""In the order in which they appear: what says which others there are comes last."""


def begin(folder: Path, run: Run, process: str, vectors: Mapping[str, SteeringVector]) -> None:
    """Write the folder of a run that goes on; it appears whole or not at all.

    Args:
        folder: Where.
        run: What is known of it.
        process: In which it runs.
        vectors: Copies of what it uses, so that it can be repeated once the shelf has changed.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    new = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        _write_vectors(new / "used", vectors)
        run_file.write(new, run, process)
        os.replace(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def end(folder: Path, run: Run, process: str, result: Result | None, view: Mapping[str, Any] | None) -> int:
    """Write what a run found into its folder, and last of all how it ended. Gives the folder's size in bytes.

    Args:
        folder: As `begin` left it.
        run: As it is known at its end.
        process: In which it ran.
        result: What was found, with tables as Parquet, vectors as safetensors, further files as they are, and copies of
            dictionaries.
        view: What the page showed, as JSON can hold it.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    new = Path(mkdtemp(dir=folder, prefix=NEW))
    try:
        if result is not None:
            _write_result(new, result)
        if view is not None:
            (new / VIEW).write_text(json.dumps(view, ensure_ascii=False), encoding="utf-8", errors="backslashreplace")
        for name in _PARTS:
            if (new / name).exists():
                shutil.rmtree(folder / name, ignore_errors=True)  # of an earlier try
                os.replace(new / name, folder / name)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    run_file.write(folder, run, process)
    return run_file.size_of(folder)


def read_result(folder: Path) -> Result | None:
    """The result; None where the run left none.

    Raises:
        SteeringError: The folder is damaged, or a newer workbench made it.
    """
    run_file.check_version(folder)
    if not (folder / RESULT).exists():
        return None
    try:
        said = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        tables = {name: pd.read_parquet(folder / _TABLES / f"{file}.parquet") for name, file in said["tables"].items()}
        texts = {name: _unpacked(folder / _TEXTS / file) for name, file in said["files"].items()}
        vectors = {
            name: load_vector(folder / _VECTORS / f"{file}.safetensors").renamed(name)
            for name, file in said["vectors"].items()
        }
        return Result(
            study=said["study"],
            settings=said["settings"],
            given=tuple(said["given"]),
            model=said["model"],
            measures=tuple(map(_measure, said["measures"])),
            tables=tables,
            headline=said["headline"],
            notes=tuple(said["notes"]),
            vectors=vectors,
            files=texts,
            warnings=tuple(said["warnings"]),
            dictionaries=read_dictionaries(folder),
        )
    except SteeringError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise SteeringError(
            f"The result in '{folder}' is damaged: {type(error).__name__}: {str(error)[:200]}.",
            "the files of a run as the workbench wrote them.",
            "Run it again with its settings; what was finished is kept.",
        ) from error


def _measure(said: dict[str, Any]) -> Measure:
    """A measure as it was found; JSON has no word for a value that is none."""
    value, low, high = (None if said[name] is None else float(said[name]) for name in ("value", "low", "high"))
    return Measure(str(said["name"]), nan if value is None else value, low, high, int(said["n"]), str(said["unit"]))


def read_view(folder: Path) -> dict[str, Any] | None:
    """What the page showed; None where nothing was kept, or where it is damaged.

    Raises:
        SteeringError: A newer workbench made it.
    """
    run_file.check_version(folder)
    try:
        found = json.loads((folder / VIEW).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_details(folder: Path, details: Mapping[str, Any]) -> None:
    """Add to a run's folder what clicks on its page open, all of it or nothing.

    Args:
        folder: Of a run that ended.
        details: By the name of their kind, as JSON can hold it.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    new = Path(mkdtemp(dir=folder, prefix=NEW))
    try:
        for name, found in details.items():
            (new / f"{name}.json.gz").write_bytes(_packed(json.dumps(found, ensure_ascii=False)))
        os.replace(new, folder / DETAILS)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def read_details(folder: Path, name: str) -> dict[str, Any]:
    """What clicks of one kind open: pick -> what the page then shows; nothing where none was kept."""
    try:
        found = json.loads(_unpacked(folder / DETAILS / f"{name}.json.gz"))
    except (OSError, EOFError, zlib.error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_used(folder: Path) -> dict[str, SteeringVector]:
    """The vectors that the run used, by the names it used; damaged ones are left out."""
    found = {}
    for path in sorted((folder / "used").glob("*.safetensors")):
        try:
            vector = load_vector(path)
        except SteeringError:
            continue
        found[vector.name] = vector
    return found


def read_dictionaries(folder: Path) -> dict[str, Path]:
    """The folders of the dictionaries that the run trained, by their names."""
    return {path.name: path for path in sorted((folder / DICTIONARIES).glob("[!.]*/"))}


def _write_result(folder: Path, result: Result) -> None:
    tables = _file_names(result.tables)
    texts = {name: f"{file}.gz" for name, file in _file_names(result.all_files).items()}
    vectors = _file_names(result.vectors)
    said = {**json.loads(result.to_json()), "tables": tables, "files": texts, "vectors": vectors}
    said |= {"headline": result.headline, "warnings": list(result.warnings)}
    for part in (_TABLES, _TEXTS, _VECTORS):
        (folder / part).mkdir()
    for name, table in result.tables.items():
        _parquet(table, folder / _TABLES / f"{tables[name]}.parquet")
    for name, text in result.all_files.items():
        (folder / _TEXTS / texts[name]).write_bytes(_packed(text))
    for name, vector in result.vectors.items():
        save_vector(vector, folder / _VECTORS / f"{vectors[name]}.safetensors")
    for name, source in result.dictionaries.items():
        copy_dictionary(source, folder / DICTIONARIES / name)
    (folder / RESULT).write_text(
        json.dumps(said, ensure_ascii=False, indent=2), encoding="utf-8", errors="backslashreplace"
    )


def _write_vectors(folder: Path, vectors: Mapping[str, SteeringVector]) -> None:
    if vectors:
        folder.mkdir()
    for name, file in _file_names(vectors).items():
        save_vector(vectors[name].renamed(name), folder / f"{file}.safetensors")


def _packed(text: str) -> bytes:
    """A report carries the 5 MB of script that draw its figures; packed the same way each time."""
    return gzip.compress(text.encode("utf-8", "backslashreplace"), mtime=0)


def _unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8")


def _file_names(named: Mapping[str, Any]) -> dict[str, str]:
    """A file name for each, without its ending; no two alike."""
    found: dict[str, str] = {}
    for n, name in enumerate(named):
        safe = safe_name(name)
        taken = {each.casefold() for each in found.values()}
        found[name] = safe if safe.casefold() not in taken else f"{safe} {n}"
    return found


def _parquet(table: pd.DataFrame, path: Path) -> None:
    """A table with its types; a column of things of several kinds is written as texts."""
    try:
        table.to_parquet(path, index=False)
    except (pa.ArrowException, ValueError):
        mixed = [name for name in table.columns if table[name].dtype == object]
        table.astype(dict.fromkeys(mixed, str)).to_parquet(path, index=False)
