"""Tokens as HTML: the prompt as chips to pick from, and a reply whose tokens are coloured and can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_UNITS: dict[Colour, str] = {"divergence": "nats", "change": "nats", "projection": "× mean difference", "none": ""}

# One token of a group is in the tab order; arrow keys go on from there.
ROVING = """
element.addEventListener('keydown', event => {
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  const token = event.target.closest('[data-token]');
  if (!step || !token) return;
  event.preventDefault();
  const all = [...token.parentElement.querySelectorAll('[data-token]')];
  const next = all[all.indexOf(token) + step];
  if (next) { token.tabIndex = -1; next.tabIndex = 0; next.focus(); }
});
"""
READ_SCRIPT = (
    ROVING
    + """
const choose = event => {
  const token = event.target.closest('[data-token]');
  if (!token || (event.key && event.key !== 'Enter' && event.key !== ' ')) return;
  if (event.key) event.preventDefault();
  element.querySelectorAll('.sw-chosen').forEach(each => each.classList.remove('sw-chosen'));
  token.classList.add('sw-chosen');
  trigger('token', {column: +token.dataset.column, token: +token.dataset.token});
};
element.addEventListener('click', choose);
element.addEventListener('keydown', choose);
"""
)
"""Fires `token` with (column, token) when a token of a reply is clicked, or Enter or Space is pressed on it."""
PICK_SCRIPT = (
    ROVING
    + """
let from = null, to = null;
const chips = () => [...element.querySelectorAll('[data-token]')];
const mark = () => chips().forEach((chip, i) =>
  chip.classList.toggle('sw-picking', from !== null && i >= Math.min(from, to) && i <= Math.max(from, to)));
const at = event => {
  const chip = document.elementFromPoint(event.clientX, event.clientY)?.closest('[data-token]');
  return chip && element.contains(chip) ? +chip.dataset.token : null;
};
const done = () => {
  if (from === null) return;
  trigger('pick', {first: Math.min(from, to), last: Math.max(from, to)});
  from = to = null;
};
element.addEventListener('pointerdown', event => {
  const token = at(event);
  if (token === null || event.button) return;
  from = to = token; mark();
});
element.addEventListener('pointermove', event => {
  const token = from === null ? null : at(event);
  if (token !== null) { to = token; mark(); }
});
element.addEventListener('pointercancel', () => { from = to = null; mark(); });
window.addEventListener('pointerup', done);
element.addEventListener('keydown', event => {
  const chip = event.target.closest('[data-token]');
  if (!chip || (event.key !== 'Enter' && event.key !== ' ')) return;
  event.preventDefault();
  from = to = +chip.dataset.token;
  done();
});
"""
)
"""Fires `pick` with (first, last) when tokens of the prompt are clicked or dragged over, or Space is pressed on one."""


def token_chips(
    tokens: Sequence[str],
    roles: Sequence[str],
    written: Mapping[str, Sequence[bool]],
    generated: Sequence[str] = (),
    picked: Sequence[int] = (),
) -> str:
    """The prompt as tokens, coloured by role, with a line in its recipe's hue under each position that is written.

    Args:
        tokens: Each token as readable text, (tokens,).
        roles: Whose token each is, (tokens,).
        written: Recipe letter -> whether the recipe changes the states at each position, (tokens,).
        generated: Letters of the recipes that also change every generated token.
        picked: Positions to set off.
    """
    chips = "".join(
        _chip(position, token, role, [hue for hue, each in written.items() if each[position]], position in picked)
        for position, (token, role) in enumerate(zip(tokens, roles, strict=True))
    )
    last = f'<i class="{_hues(generated)}">generated …</i>'
    label = "Tokens of the prompt; click or drag to pick where to write"
    return f'<div class="sw-chips" role="group" aria-label="{label}">{chips}{last}</div>'


def roles_legend(roles: Sequence[str]) -> str:
    """Which colour stands for whose token, for the roles that there are."""
    keys = " ".join(f'<i class="sw-{escape(role)}">{escape(role)}</i>' for role in dict.fromkeys(roles))
    return f'<p class="sw-note sw-roles">{keys}</p>'


def reply_tokens(column: int, readings: Sequence[TokenReading], shades: Sequence[float]) -> str:
    """A reply as tokens that can be chosen.

    Args:
        column: Which reply of several.
        readings: Of each token.
        shades: How strongly each is coloured, from -1 (grey) to 1 (the pane's hue).
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


def colour_legend(colour: Colour, full: float, vector: str) -> str:
    """What the colour means, in which unit, and how to read a token."""
    if colour not in get_args(Colour) or colour == "none":
        return note("Choose a token to see what else could have stood there.")
    what = {
        "divergence": "KL(unsteered || recipe) of the distribution that each token was taken from",
        "change": "log-probability of each token under the recipe less that without it",
        "projection": f"projection on {vector} at each token, counted from its negative side's mean",
    }[colour]
    grey = " Grey: below zero." if colour != "divergence" else ""
    return note(
        f"Colour: {what}; full at {full:.2g} {_UNITS[colour]}.{grey} Choose a token to see what else could have stood "
        "there."
    )


def token_card(title: str, reading: TokenReading, *, hue: str, vector: str) -> str:
    """All that is known of one token, with the likeliest alternatives."""
    facts = [f"KL {reading.divergence:.3g} nats", f"log-probability change {reading.change:+.3g} nats"]
    columns = ["what could have stood there", "unsteered", title[:1].lower() + title[1:]]
    rows = [[visible(token), chance(before), chance(own)] for token, before, own in reading.alternatives]
    if not hue:  # the unsteered model is its own reference
        facts, columns, rows = [], columns[:2], [row[:2] for row in rows]
    if reading.projection is not None:
        facts.append(f"projection on {vector} {reading.projection:+.3g} × mean difference")
    head = heading(f"{title}: “{visible(reading.token)}”", hue=hue)
    said = note(" · ".join(facts)) if facts else ""
    return head + said + table(columns, rows, marked=0) + note("Probability of each token, before temperature.")


def visible(token: str) -> str:
    """A token with its spaces and line ends shown, since “dog” and “ dog” are two tokens."""
    return token.replace("\n", "⏎").replace(" ", "␣") or "(empty)"


def chance(value: float) -> str:
    """A probability, to two places."""
    return f"{value:.2f}" if value >= 0.005 else "< 0.01"


def _chip(position: int, token: str, role: str, hues: Sequence[str], picked: bool) -> str:
    """One token. A leading space is a gap in front of the chip, so that pieces of one word stand close together."""
    classes = [f"sw-{role}", _hues(hues), "sw-s" if token.startswith(" ") else "", "sw-picked" if picked else ""]
    # A token without text begins a character that a later one ends.
    shown = (token.strip(" ").replace("\n", "⏎") or "␣") if token else "…"
    return (
        f'<i role="checkbox" aria-checked="{str(picked).lower()}" tabindex="{0 if position == 0 else -1}" '
        f'data-token="{position}" class="{escape(" ".join(filter(None, classes)))}" '
        f'title="token {position}, {escape(role)}">{escape(shown)}</i>'
    )


def _hues(letters: Sequence[str]) -> str:
    return " ".join(f"sw-w{letter}" for letter in letters)
