"""What a check found, and what follows from a failed one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


if TYPE_CHECKING:
    import pandas as pd


Outcome = Literal["pass", "fail", "not applicable"]


@dataclass(frozen=True)
class Check:
    """What one check found."""

    name: str
    outcome: Outcome
    meaning: str
    """What a pass says, in a sentence."""
    detail: str
    """What was measured, or why it does not apply."""


def warnings(model: str, checks: Iterable[Check], *, without: Collection[str] = ()) -> tuple[str, ...]:
    """What has to stand beside a result of a model that failed checks, a sentence each.

    Args:
        model: Its name.
        checks: What was found.
        without: Names of checks on which the result does not depend.
    """
    return tuple(
        f"{model} fails a self-check that this depends on, “{check.name}”: it does not hold that "
        f"{check.meaning[0].lower()}{check.meaning[1:].rstrip('.')} ({check.detail.rstrip('.')}). Do not trust it."
        for check in checks
        if check.outcome == "fail" and check.name not in without
    )


def marked(table: pd.DataFrame, said: Collection[str]) -> pd.DataFrame:
    """A table that goes into a file of its own, with what `warnings` says in a last column; as it is where nothing."""
    return table.assign(warning=" ".join(said)) if said else table
