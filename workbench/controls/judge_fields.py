"""Fields for a second judge at an address: the same in every panel whose replies are judged."""

from __future__ import annotations

from steering.judges.further import JUDGES
from workbench.controls.field import Field, Section, choice, more, number, text


_FIELDS = {
    "judge_url": ("A chat model as a second judge", "https://host/v1"),
    "judge_model": ("Its name there", "as the address knows it"),
    "judge_key": ("Variable with its key", "JUDGE_KEY; never the key itself"),
}
_NOTE = "Requests and replies are sent there. With 0 calls a run first says how many it may take."


def classifier_field(label: str) -> Field:
    """A text classifier as a judge: a folder or a Hub id, or one of the judges that packages add."""
    if not JUDGES:
        return text("classifier", label, placeholder="a folder or Hub id")
    judges = [(f"{judge.title} ({JUDGES.plugins[name].package})", name) for name, judge in JUDGES.items()]
    return choice("classifier", label, [("none", ""), *judges], own=True, placeholder="a folder or Hub id")


def judge_section() -> Section:
    """The part of a form. On a page that others reach, a run says that an address cannot be asked from there."""
    return more(
        *(text(name, label, "", placeholder=placeholder) for name, (label, placeholder) in _FIELDS.items()),
        number("judge_calls", "Calls allowed", 0, whole=True, low=0, half=True),
        number("judge_price", "Price", 0, unit="a million of its tokens", low=0, step=0.01, half=True),
        title="Second judge",
        note=_NOTE,
    )
