"""Which rule marks what some data is about, where nobody names a judge."""

from __future__ import annotations

from collections.abc import Mapping

from steering.errors import SteeringError
from steering.judges.marks import NAMES, RULES


OF_PREFERENCES: Mapping[str, str] = {"demo-formality": "formal", "demo-refusing": "refusal"}
"""By shipped preferences. No rule knows which requests are to be refused, or which sum is right, so the others have
none.
"""
_OF_LABELS: Mapping[str, str] = {"harmful": "refusal", "the sea": "sea"}
"""Where a label is no rule's own name: what the difference of harmful from harmless requests brings about, added, are
refusals (Arditi et al. 2024, arXiv 2406.11717).
"""


def judge_of_preferences(source: str, named: str = "") -> str:
    """Who marks replies to preferences: who was named, or the rule that fits them.

    Args:
        source: A shipped set's name, or a file.
        named: Nobody where empty.

    Raises:
        SteeringError: Nobody was named, and no rule fits.
    """
    return named.strip() or _found(OF_PREFERENCES.get(source.strip()), f"the preferences '{source[:200]}'")


def judge_of_label(label: str, where: str, named: str = "") -> str:
    """Who marks replies with a behaviour: who was named, or the rule that fits it.

    Args:
        label: What the side of a contrast set is called that has it.
        where: Of which contrast set or vector, for the error.
        named: Nobody where empty.

    Raises:
        SteeringError: Nobody was named, and no rule fits.
    """
    known = label.strip().lower()
    return named.strip() or _found(_OF_LABELS.get(known, known), f"'{label[:200]}', a side of {where}")


def _found(name: str | None, what: str) -> str:
    if name is not None and name in RULES:
        return name
    raise SteeringError(f"No judge was named, and no rule fits {what}.", f"a judge: {NAMES}.", "Name one (judge).")
