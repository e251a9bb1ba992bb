"""What stands behind a dictionary's source: `FOLDER?reads=3:block_output&scale=0.3`, what its files do not say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from steering.dictionaries.dictionary import Where
from steering.dictionaries.hooks import told_where
from steering.errors import SteeringError


_KEYS = ("reads", "gives", "scale", "base")


@dataclass(frozen=True)
class Told:
    """What the user says of a dictionary; None where nothing is said."""

    reads: Where | None = None
    gives: Where | None = None
    scale: float | None = None
    """The factor that gave the states of training their length, where the files ask for one and do not have it."""
    also: tuple[Where, ...] = ()
    """What a crosscoder of several blocks reads behind `reads`."""
    base: str | None = None
    """The other model that a crosscoder of two models reads, by name or folder."""

    @property
    def every(self) -> tuple[Where, ...]:
        """All places that it reads."""
        return (self.reads, *self.also) if self.reads else ()

    @property
    def words(self) -> str:
        """As it stands behind a source; "" for nothing."""
        places = {"reads": self.every, "gives": (self.gives,) if self.gives else ()}
        said = [f"{key}={','.join(f'{each[0]}:{each[1]}' for each in own)}" for key, own in places.items() if own]
        said += [f"scale={self.scale!r}"] if self.scale is not None else []
        said += [f"base={quote(self.base)}"] if self.base else []
        return f"?{'&'.join(said)}" if said else ""


def parted(source: str) -> tuple[str, Told]:
    """A source without what stands behind it, and that.

    Raises:
        SteeringError: Something else than `reads`, `gives`, `scale` and `base`, or no place or number.
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
    return plain, told(said.get("reads"), said.get("gives"), said.get("scale"), said.get("base"))


def told(
    reads: str | Where | None, gives: str | Where | None, scale: str | float | None, base: str | None = None
) -> Told:
    """What the user says, read; several places that are read stand with commas between.

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
    several = reads.split(",") if isinstance(reads, str) else [reads]
    read, *also = (None if each is None else told_where(each).where for each in several)
    given = None if gives is None else told_where(gives).where
    return Told(read, given, factor, tuple(each for each in also if each), base or None)
