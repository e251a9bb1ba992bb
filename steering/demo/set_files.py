"""Sets from the demo grammar as the files that ship: a line of JSON an entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any


Sets = Mapping[str, Callable[[], Iterator[Any]]]
"""By the file's name, what gives its entries."""


def lines(sets: Sets, name: str) -> list[str]:
    """A set as it stands in its file."""
    entries = enumerate(sets[name](), start=1)
    return [json.dumps({"id": f"{name}-{number:03}", **entry}, ensure_ascii=False) for number, entry in entries]


def write(sets: Sets, folder: Path) -> None:
    """Write every set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sets:
        (folder / f"{name}.jsonl").write_text("\n".join(lines(sets, name)) + "\n", encoding="utf-8")
