"""The most that a second judge may be asked in this study."""

from __future__ import annotations

from steering.judges.second import Second
from steering.store import Kept
from steering.studies.refusal.arms import NONE
from steering.studies.refusal.settings import RefusalSettings


_KINDS = 3


def second_judge(settings: RefusalSettings, kept: Kept) -> Second | None:
    """The judge that the settings name, if they allow as many calls as the run may take; none without an address.

    Raises:
        SteeringError: More calls than are allowed, with their number and what they come to; or a wrong address, model
            or variable.
    """
    if not settings.judge_url.strip():
        return None
    second = Second(settings, kept)
    second.allow(most_calls(settings), settings.reply_tokens, "take fewer requests (n_test) or interventions (arms)")
    return second


def most_calls(settings: RefusalSettings) -> int:
    """The most replies that the second judge may be asked about, and one to try it out; random floors are left out."""
    systems = 2 if settings.both_systems else 1
    return len({NONE, *settings.arms}) * _KINDS * settings.n_test * systems + 1
