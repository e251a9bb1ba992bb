"""Parquet: sizes are read from what the file says of itself, and cells are unpacked only when they fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering.errors import SteeringError
from steering.guards import MOST_COLUMNS, MOST_ROWS, MOST_UNPACKED, MOST_VALUES, check_row, too_large


if TYPE_CHECKING:
    import pyarrow as pa


_BATCH = 2000
_ROWS, _WELL = "rows", "well"
"""What the process is asked for: the rows of a file, or whether several are well."""


_SECONDS = 120
"""That a file may take."""
_MEMORY = 2 * 1024**3
"""Bytes of address space that its process may take, most of it reserved by libraries and never used."""


def read_parquet(path: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a Parquet file, read by a process of its own.

    On some damaged files pyarrow ends the whole process (an exception of C++ that nothing catches), which must not be
    the one that serves a page. Cells come back as JSON has them; what it does not know, such as a date, as text.

    Raises:
        SteeringError: Damaged, or too large by rows, values or unpacked bytes.
    """
    found: list[dict[str, Any]] = _elsewhere(_ROWS, [path], name)["rows"]
    return found


def check_parquet(paths: Sequence[Path], name: str) -> None:
    """Read tables whole, as they will be read later, in a process of its own; see `read_parquet`.

    Args:
        paths: Of Parquet files.
        name: What they come from.

    Raises:
        SteeringError: One is damaged, or too large.
    """
    if paths:
        _elsewhere(_WELL, paths, name)


def _elsewhere(asked: str, paths: Sequence[Path], name: str) -> dict[str, Any]:
    """What a process of its own tells of files: the rows of one, or that several are well."""
    command = [sys.executable, "-m", __name__, asked, *(str(path.resolve()) for path in paths), name]
    roots = os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")])
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, env={**os.environ, "PYTHONPATH": roots}, check=False
        )
        told: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise SteeringError(
            f"{name} took longer than {_SECONDS} seconds to read.", "a smaller file.", "Split it, or write it as JSONL."
        ) from error
    except (ValueError, OSError) as error:
        raise SteeringError(
            f"{name} cannot be read: it is damaged, or takes more than {_MEMORY / 1e9:.0f} GB of memory.",
            "well-formed Parquet.",
            "Mend the file, or split it.",
        ) from error
    if "error" in told:
        raise SteeringError(*told["error"])
    return told


def read_here(path: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a Parquet file, read in this process.

    Texts are read as a dictionary with numbers of its entries: a file of 3 kB may repeat one text a million times,
    which its sizes do not show. How much that comes to is counted before any row is made.

    Raises:
        SteeringError: Damaged, or too large by rows, values or unpacked bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as plain:
            texts = _checked(plain, name)
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            return _rows(file, name)
    except MemoryError as error:
        raise too_large(name, "takes more memory than is left to it", f"{_MEMORY / 1e9:.0f} GB") from error
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        what = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise SteeringError(
            f"{name} cannot be read: {what}", "a well-formed .parquet file.", "Mend the file."
        ) from error


def _checked(file: Any, name: str) -> list[str]:
    """Hold the numbers in the footer against the limits, and name the columns that hold texts."""
    told, texts = file.metadata, []
    if told.num_rows > MOST_ROWS:
        raise too_large(name, f"has {told.num_rows:,} rows", f"{MOST_ROWS:,}")
    if told.num_columns > MOST_COLUMNS:
        raise too_large(name, f"has {told.num_columns:,} columns", f"{MOST_COLUMNS:,}")
    values = unpacked = 0
    for group in range(told.num_row_groups):
        for column in range(told.num_columns):
            chunk = told.row_group(group).column(column)
            values += chunk.num_values
            unpacked += chunk.total_uncompressed_size
    if values > MOST_VALUES:
        raise too_large(name, f"holds {values:,} values", f"{MOST_VALUES:,}")
    if unpacked > MOST_UNPACKED:
        raise too_large(name, f"unpacks to {unpacked / 1e6:,.0f} MB", f"{MOST_UNPACKED / 1e6:,.0f} MB")
    for column in range(told.num_columns):
        each = told.schema.column(column)
        if each.physical_type == "BYTE_ARRAY" and each.logical_type.type in ("STRING", "JSON", "ENUM", "NONE"):
            texts.append(each.path)
    return texts


def _rows(file: Any, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    total = 0
    for batch in file.iter_batches(batch_size=_BATCH):
        total += sum(_unpacked(column) for column in batch.columns)
        if total > MOST_UNPACKED:
            raise too_large(
                name, f"unpacks to more than {MOST_UNPACKED / 1e6:,.0f} MB", f"{MOST_UNPACKED / 1e6:,.0f} MB"
            )
        found = batch.to_pylist()
        for number, row in enumerate(found, start=len(rows) + 1):
            check_row(f"{name}, row {number}", row)
        rows += found
    return rows


def _unpacked(array: pa.Array) -> int:
    """Bytes of an array's cells as rows have them: a dictionary's entry counts wherever it stands."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary)
        return 8 * len(array) + int(pc.sum(pc.take(lengths, array.indices.drop_null())).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return 8 * len(array) + _unpacked(array.flatten())
    if pa.types.is_struct(kind):
        return sum(_unpacked(part) for part in array.flatten())
    return int(array.nbytes)


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such bound
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    bound = _MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most)
    with suppress(OSError, ValueError):  # nor has every other system
        resource.setrlimit(resource.RLIMIT_AS, (bound, most))


def _main() -> None:
    """Print a file's rows, nothing of several that are well, or what is wrong, as JSON."""
    _bound_memory()
    asked, *paths, name = sys.argv[1:]
    try:
        if asked == _WELL:
            for path in paths:
                _read_whole(Path(path), name)
        told: dict[str, Any] = {} if asked == _WELL else {"rows": read_here(Path(paths[0]), name)}
    except SteeringError as error:
        told = {"error": [error.given, error.expected, error.remedy]}
    sys.stdout.buffer.write(json.dumps(told, default=_plain).encode())


def _read_whole(path: Path, name: str) -> None:
    """Read a table both ways: within bounds, and as a data frame."""
    import pandas as pd

    read_here(path, f"{name}, {path.name}")
    pd.read_parquet(path)


def _plain(value: Any) -> str | None:
    """A cell that JSON does not know: bytes as the text that they mostly are, nothing where they are none; a date."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return str(value)


if __name__ == "__main__":
    _main()
