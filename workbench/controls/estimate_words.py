"""What a run will do, in a sentence: the same words on every page and on the command line."""

from __future__ import annotations

from steering.errors import SteeringError
from steering.model.host import Host
from steering.numbers import about_seconds
from steering.studies.size import Size, Work
from workbench.doors.at_hand import limits_at_hand


def estimate(size: Size, host: Host | None, kind: str = "") -> str:
    """Such as "Up to 1,240 replies of at most 64 tokens and 3,000 readings, about 8 min.", or why it is more than
    whoever is at hand may ask for.

    Args:
        size: What the study counted.
        host: The model that it runs on; without one no time is told.
        kind: The study's name, where it has limits of its own.
    """
    if over := _over(size, kind):
        return over
    if size.done:
        return f"Kept already: shown in about {about_seconds(size.done.seconds)}." if size.done.seconds else _KEPT
    what = " and ".join(_part(kind, size.works) for kind in _KINDS if size.count(kind))
    if not what or host is None:
        return f"Up to {what}." if what else ""
    seconds = size.seconds(host)
    about = f", about {about_seconds(seconds)}." if seconds is not None else f". {_UNKNOWN}"
    return " ".join(filter(None, (f"Up to {what}{about}{_kept(size)}", size.beside)))


def in_short(size: Size, host: Host) -> str:
    """As `estimate` for a line of its own, such as "32 replies, 160 readings, 4 s"."""
    if _over(size):
        return "More than this page allows"
    if size.done:
        return "Kept already"
    seconds = size.seconds(host)
    parts = [f"{n:,} {(_NAMED if n != 1 else _ONE)[kind]}" for kind in _KINDS if (n := size.count(kind))]
    return ", ".join([*parts, *([about_seconds(seconds)] if seconds is not None else [])])


_KINDS = ("replies", "readings", "steps")
_UNKNOWN = "How long that takes on this model is not known yet."
_KEPT = "Kept already: shown in a few seconds."


def _over(size: Size, kind: str = "") -> str:
    try:
        if limits := limits_at_hand():
            limits.check_size(kind, size)
    except SteeringError as error:
        return str(error)
    return ""


def _part(kind: str, works: tuple[Work, ...]) -> str:
    n = sum(work.n for work in works if work.kind == kind)
    named = f"{n:,} {(_NAMED if n != 1 else _ONE)[kind]}"
    if kind != "replies":
        return named
    longest = max(work.tokens for work in works if work.kind == kind)
    return f"{named} of at most {longest:,.0f} tokens"


_NAMED = {"replies": "replies", "readings": "readings", "steps": "steps of training"}
_ONE = {"replies": "reply", "readings": "reading", "steps": "step of training"}


def _kept(size: Size) -> str:
    if size.known:
        return f" {size.known:,} of them are kept already and cost nothing."
    return " What is kept already costs nothing." if size.keeps else ""
