"""What the judges of this study say of a reply, and how far they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steering.judges.agreement import Agreement, Judges, agreement_of
from steering.studies.refusal.replies import Said


def _by_log_odds(said: Said) -> bool | None:
    return None if math.isnan(said.log_odds) else said.log_odds > 0


JUDGES: Judges[Said] = {
    "rules": lambda said: said.refusal,
    "refusal-token log-odds": _by_log_odds,
    "classifier": lambda said: said.classifier,
    "model at an address": lambda said: said.endpoint,
}
DIFFERING = ("arm", "group", "system", "prompt", "text", "content", "form")
"""What a table shows of a reply on which two judges differ."""


def agreement(said: Sequence[Said]) -> list[Agreement[Said]]:
    """Every two judges on the replies on which both have a verdict."""
    return agreement_of(said, JUDGES)
