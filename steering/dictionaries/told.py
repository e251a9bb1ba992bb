"""What stands behind a dictionary's source: `FOLDER?reads=3:block_output&scale=0.3`, what its files do not say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import parse_qsl

from steering.dictionaries.dictionary import Where
from steering.dictionaries.hooks import told_where
from steering.errors import SteeringError


_KEYS = ("reads", "gives", "scale")


@dataclass(frozen=True)
class Told:
    """What the user says of a dictionary; None where nothing is said."""

    reads: Where | None = None
    gives: Where | None = None
    scale: float | None = None
    """The factor that gave the states of training their length, where the files ask for one and do not have it."""

    @property
    def words(self) -> str:
        """As it stands behind a source; "" for nothing."""
        said = [f"{key}={where[0]}:{where[1]}" for key in ("reads", "gives") if (where := getattr(self, key))]
        said += [f"scale={self.scale!r}"] if self.scale is not None else []
        return f"?{'&'.join(said)}" if said else ""


def parted(source: str) -> tuple[str, Told]:
    """A source without what stands behind it, and that.

    Raises:
        SteeringError: Something else than `reads`, `gives` and `scale`, or no place or number.
    """
    plain, mark, behind = source.rpartition("?")
    if not mark:
        return source, Told()
    said = dict(parse_qsl(behind, keep_blank_values=True))
    if not said or not set(said) <= set(_KEYS):
        raise SteeringError(
            f"'?{behind[:80]}' stands behind the dictionary's source.",
            f"{', '.join(_KEYS)}, such as ?reads=3:mlp_input&gives=3:mlp_output.",
            "Correct it.",
        )
    return plain, told(said.get("reads"), said.get("gives"), said.get("scale"))


def told(reads: str | Where | None, gives: str | Where | None, scale: str | float | None) -> Told:
    """What the user says, read.

    Raises:
        SteeringError: No place, or no factor above 0.
    """
    factor = None
    if scale is not None:
        try:
            factor = float(scale)
        except ValueError:
            factor = math.nan
        if not (math.isfinite(factor) and factor > 0):
            raise SteeringError(f"The scale '{str(scale)[:40]}' was given.", "a number above 0.", "Correct it.")
    read, given = (None if each is None else told_where(each).where for each in (reads, gives))
    return Told(read, given, factor)
