"""Names that people type, as names of files."""

from __future__ import annotations

import re


_LONGEST = 60


def safe_name(name: str) -> str:
    """`name` as a file name on any system: letters, digits, spaces and . + - _ ( ) only, neither empty nor hidden."""
    kept = re.sub(r"[^\w .+()-]+", "-", name, flags=re.UNICODE)
    kept = re.sub(r"\s+", " ", kept).strip(" .-")[:_LONGEST].strip(" .-")
    return kept or "vector"
