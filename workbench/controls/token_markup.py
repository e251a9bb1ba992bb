"""A reply as HTML whose tokens are coloured and can be chosen, and the card of one token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from steering.vectors.token_readings import TokenReading
from workbench.page.markup import escape, heading, note, table


Colour = Literal["divergence", "change", "projection", "none"]
COLOURS: dict[Colour, str] = {
    "divergence": "KL to unsteered",
    "change": "log-probability change",
    "projection": "projection",
    "none": "nothing",
}
_FLOORS: dict[Colour, float] = {"divergence": 1.0, "change": 1.0, "projection": 1.0, "none": 1.0}
"""The value that gets the full colour at least, so that next to nothing does not look like much."""
_MEASURE = "mean difference"


def reply_tokens(column: int, readings: Sequence[TokenReading], shades: Sequence[float]) -> str:
    """A reply as tokens that can be chosen.

    Args:
        column: Which reply of several.
        readings: Of each token.
        shades: How strongly each is coloured, from -1 (striped) to 1 (filled), in the pane's hue.
    """
    parts: list[str] = []
    for index, (reading, shade) in enumerate(zip(readings, shades, strict=True)):
        text = reading.piece.lstrip() if not parts else reading.piece
        if not text:  # a special token, or the first bytes of a character that a later token completes
            continue
        tab = "-1" if parts else "0"
        side = "sw-less" if shade < 0 else "sw-more-of"
        word = text.lstrip(" ")
        gap = text[: len(text) - len(word)] if word else ""  # outside, lest the colour breaks over two lines
        parts.append(
            f'{gap}<span role="button" tabindex="{tab}" class="sw-tok {side}" style="--v:{abs(shade):.2f}" '
            f'data-column="{column}" data-token="{index}">{escape(word or text)}</span>'
        )
    return "".join(parts)


def shades(readings: Sequence[Sequence[TokenReading]], colour: Colour) -> tuple[list[list[float]], float]:
    """How strongly to colour every token of every reply, from -1 to 1, and the value that 1 stands for."""
    if colour == "none":
        return [[0.0] * len(each) for each in readings], 0.0
    values = [[getattr(reading, colour) or 0.0 for reading in each] for each in readings]
    full = max([_FLOORS[colour], *(abs(value) for each in values for value in each)])
    return [[value / full for value in each] for each in values], full


def colour_legend(colour: Colour, full: float, vector: str, zero: float | None = None, measure: str = _MEASURE) -> str:
    """What the colour means, in which unit, and how to read a token.

    Args:
        colour: By what the tokens are coloured.
        full: The value of the full colour.
        vector: Whose projection it is.
        zero: Where that vector's negative side lies, in mean differences.
        measure: What a strength of 1 of that vector is called.
    """
    choose = "Choose a token to see what else could have stood there."
    if colour not in get_args(Colour) or colour == "none":
        return note(choose)
    what = {
        "divergence": "KL(unsteered || recipe) of the distribution that each token was taken from",
        "change": "log-probability of each token under the recipe less that without it",
        "projection": f"projection of the state at each token on {vector}; 0 is nothing along it",
    }[colour]
    unit = f"× {measure}" if colour == "projection" else "nats"
    said = note(f"Colour: {what}; full at {full:.2g} {unit}. {choose}")
    if colour == "divergence":
        return said
    filled, striped = '<i class="sw-sample"></i>', '<i class="sw-sample sw-less"></i>'
    counted = (
        f" Conditions and clamps count from the mean of its negative side, which lies at {zero:+.2f}."
        if colour == "projection" and zero is not None
        else ""
    )
    return f'{said}<p class="sw-note">{filled}above zero &emsp;{striped}below zero.{escape(counted)}</p>'


def token_card(title: str, reading: TokenReading, *, hue: str, vector: str, measure: str = _MEASURE) -> str:
    """All that is known of one token, with the likeliest alternatives."""
    facts = [f"KL {reading.divergence:.3g} nats", f"log-probability change {reading.change:+.3g} nats"]
    columns = ["what could have stood there", "unsteered", title[:1].lower() + title[1:]]
    rows = [[visible(token), chance(before), chance(own)] for token, before, own in reading.alternatives]
    if not hue:  # the unsteered model is its own reference
        facts, columns, rows = [], columns[:2], [row[:2] for row in rows]
    if reading.projection is not None:
        facts.append(projected(vector, reading.projection, reading.unsteered if hue else None, measure))
    head = heading(f"{title}: “{visible(reading.token)}”", hue=hue)
    said = note(" · ".join(facts)) if facts else ""
    return head + said + table(columns, rows, marked=0) + note("Probability of each token, before temperature.")


def projected(vector: str, value: float, unsteered: float | None, measure: str = _MEASURE) -> str:
    """A projection in words, beside what the unsteered model has at the same tokens."""
    beside = "" if unsteered is None else f", unsteered on the same text {_signed(unsteered)}"
    return f"projection on {vector} {_signed(value)} × {measure}{beside}"


def visible(token: str) -> str:
    """A token with its spaces and line ends shown, since “dog” and “ dog” are two tokens."""
    return token.replace("\n", "⏎").replace(" ", "␣") or "(empty)"


def chance(value: float) -> str:
    """A probability, to two places."""
    return f"{value:.2f}" if value >= 0.005 else "< 0.01"


def _signed(value: float) -> str:
    """With its sign, but where it is nothing to two places."""
    return f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"
