"""What a run leaves on disk beside the list: its result whole, and what its page showed; read back without a model."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd
import pyarrow as pa

from steering.errors import SteeringError
from steering.names import safe_name
from steering.studies.study import RESULT, Measure, Result
from steering.vectors.files import load_vector, save_vector
from steering.vectors.vector import SteeringVector


VIEW = "view.json"
"""What the page showed at the end."""
_TABLES, _VECTORS, _TEXTS = "tables", "vectors", "files"


def write(
    folder: Path, *, result: Result | None, view: Mapping[str, Any] | None, vectors: Mapping[str, SteeringVector]
) -> int:
    """Write a run's folder; it appears whole or not at all. Gives its size in bytes.

    Args:
        folder: Where; of an earlier try, what is there is replaced.
        result: What was found, with tables as Parquet, vectors as safetensors and further files as they are.
        view: What the page showed, as JSON can hold it.
        vectors: Copies of what the run used, so that it can be repeated once the shelf has changed.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        if result is not None:
            _write_result(new, result)
        if view is not None:
            (new / VIEW).write_text(json.dumps(view, ensure_ascii=False), encoding="utf-8", errors="backslashreplace")
        _write_vectors(new / "used", vectors)
        size = sum(path.stat().st_size for path in new.rglob("*") if path.is_file())
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return size


def read_result(folder: Path) -> Result | None:
    """The result; None where the run left none.

    Raises:
        SteeringError: The folder is damaged.
    """
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
            measures=tuple(Measure(**measure) for measure in said["measures"]),
            tables=tables,
            headline=said["headline"],
            notes=tuple(said["notes"]),
            vectors=vectors,
            files=texts,
            warnings=tuple(said["warnings"]),
        )
    except SteeringError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise SteeringError(
            f"The result in '{folder}' is damaged: {type(error).__name__}: {str(error)[:200]}.",
            "the files of a run as the workbench wrote them.",
            "Run it again with its settings; what was finished is kept.",
        ) from error


def read_view(folder: Path) -> dict[str, Any] | None:
    """What the page showed; None where nothing was kept, or where it is damaged."""
    try:
        found = json.loads((folder / VIEW).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


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


def _write_result(folder: Path, result: Result) -> None:
    tables = _file_names(result.tables)
    texts = {name: f"{file}.gz" for name, file in _file_names(result.files).items()}
    vectors = _file_names(result.vectors)
    said = {**json.loads(result.to_json()), "tables": tables, "files": texts, "vectors": vectors}
    said |= {"headline": result.headline, "warnings": list(result.warnings)}
    for part in (_TABLES, _TEXTS, _VECTORS):
        (folder / part).mkdir()
    for name, table in result.tables.items():
        _parquet(table, folder / _TABLES / f"{tables[name]}.parquet")
    for name, text in result.files.items():
        (folder / _TEXTS / texts[name]).write_bytes(_packed(text))
    for name, vector in result.vectors.items():
        save_vector(vector, folder / _VECTORS / f"{vectors[name]}.safetensors")
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
