"""Replies as panes and HTML: a pane a column, the first token that differs, and the recipes behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from steering.passes.replies import Reply, Written
from steering.passes.replies_shown import FINISHES
from steering.recipes.modes import MODES
from steering.recipes.recipe import Recipe
from steering.studies.steer import recipe_name
from steering.vectors.token_readings import TokenReading, summary
from workbench.controls.panes import Pane, before_html, card_at, now_html
from workbench.controls.token_markup import (
    Colour,
    chance,
    colour_legend,
    projected,
    reply_tokens,
    shades,
    token_card,
    visible,
)
from workbench.page.markup import escape, heading, note, table


@dataclass(frozen=True, eq=False)
class Columns:
    """All that the panes show: the unsteered reply first, then one a recipe."""

    replies: Sequence[Reply] = ()
    """So far or final; none before the first token."""
    recipes: Mapping[str, Recipe] = field(default_factory=lambda: {"a": Recipe()})
    """By their letters."""
    turns: Sequence[Sequence[tuple[str, str]]] = ()
    """Per column what was said before, (user, reply)."""
    asked: str = ""
    """The message that the replies answer."""
    readings: Sequence[Sequence[TokenReading]] = ()
    """Per column of every token; none before they were read."""
    vector: str = ""
    """Whose projection was read; none where empty."""
    measure: str = "mean difference"
    """What a strength of 1 of that vector is called."""
    zero: float | None = None
    """Where that vector's negative side lies, in mean differences; None where it does not say."""
    notes: str = ""
    """What was applied, as HTML."""
    open: bool = False
    """Whether the conversation can go on."""

    def __bool__(self) -> bool:
        """Whether there is any reply."""
        return bool(self.replies)

    @property
    def hues(self) -> list[str]:
        """The recipe letter of each column, "" for the unsteered model."""
        return ["", *self.recipes]


def title_of(hue: str) -> str:
    """A column's name on screen."""
    return f"Recipe {hue.upper()}" if hue else "Unsteered"


def panes_of(columns: Columns, *, state: str = "", colour: Colour = "none") -> list[Pane]:
    """All panes.

    Args:
        columns: What to show.
        state: "" for final replies, "empty", "waiting", "writing", or "stopped".
        colour: By what the tokens are coloured, once they were read.
    """
    tinted, _ = shades(columns.readings, colour)
    return [_pane(columns, n, state, tinted) for n in range(len(columns.hues))]


def legend_html(columns: Columns, colour: Colour) -> str:
    """What the colours of the tokens mean."""
    return colour_legend(colour, shades(columns.readings, colour)[1], columns.vector, columns.zero, columns.measure)


def token_html(columns: Columns, column: int, token: int) -> str:
    """The card of one token."""
    reading = columns.readings[column][token]
    hue = columns.hues[column]
    return card_at(token_card(title_of(hue), reading, hue=hue, vector=columns.vector, measure=columns.measure))


def divergence_html(columns: Columns) -> str:
    """Per recipe, the likeliest next tokens of both rows where they part, or a word that they did not."""
    told = [
        (heading(title_of(hue), hue=hue) if len(columns.recipes) > 1 else "") + _divergence(columns, n)
        for n, hue in enumerate(columns.recipes, start=1)
    ]
    return heading("The first token that differs") + "".join(told)


def recipes_html(recipes: Mapping[str, Recipe]) -> str:
    """The recipes as JSON, folded away: all that is needed to run them again."""
    return "".join(_folded(title_of(hue) if len(recipes) > 1 else "Recipe", each) for hue, each in recipes.items())


def _folded(name: str, recipe: Recipe) -> str:
    written = escape(recipe.model_dump_json(indent=2))
    return f"<details class='sw-json'><summary>{name} as JSON</summary><pre>{written}</pre></details>"


def _divergence(columns: Columns, n: int) -> str:
    reply = columns.replies[n]
    divergence = reply.divergence
    if divergence is None and not reply.written.prompt and not reply.written.generated:
        used = columns.recipes[columns.hues[n]].interventions
        why = "a condition of the recipe did not hold" if used else "the recipe holds no intervention"
        return note(f"None: nothing was modified, since {why}.")
    if columns.turns and columns.turns[n] != columns.turns[0]:
        return note("Not compared: by now its conversation is another one than the unsteered model's.")
    if divergence is None:
        features = all(MODES[each.mode].feature for each in columns.recipes[columns.hues[n]].interventions)
        what = "More features at once" if features else "A greater strength or another block"
        return note(f"None: both replies are the same so far. {what} may tell them apart.")
    rows = [(visible(token), chance(plain), chance(steered)) for token, plain, steered in divergence.candidates]
    after = f"after “{_tail(divergence.context)}”" if divergence.context else "the first token"
    return table((after, "unsteered", recipe_name(columns.hues[n])), rows) + note(
        "Probability of each token, before temperature."
    )


def _pane(columns: Columns, n: int, state: str, tinted: Sequence[Sequence[float]]) -> Pane:
    hue = columns.hues[n]
    before = before_html(columns.turns[n] if columns.turns else (), columns.asked)
    if not columns.replies:
        return Pane(title_of(hue), hue, before=before, now=now_html("", state), state=state)
    reply = columns.replies[n]
    count, thought = reply.answer_tokens, reply.thought_tokens
    end = FINISHES[reply.finish] if reply.finish else {"stopped": "stopped"}.get(state, "")
    readings = columns.readings[n] if columns.readings else ()
    answer = readings[reply.thought_tokens :] or readings
    writing = "writing" if state == "writing" and reply.finish is None else ""
    facts = (_modified(reply.written), *_read(answer, columns, hue), _thought(reply), end)
    return Pane(
        title_of(hue),
        hue,
        corner=f"{count} token{'s' * (count != 1)}{f' behind {thought} of thought' if thought else ''}",
        before=before,
        now=now_html(reply.text, writing, tokens=reply_tokens(n, readings, tinted[n]) if readings else ""),
        foot=" · ".join(filter(None, facts)),
        state=writing,
    )


def _read(readings: Sequence[TokenReading], columns: Columns, hue: str) -> list[str]:
    if not readings:
        return []
    total = summary(readings)
    size = f"{total.divergence:.2g}" if total.divergence >= 0.001 else "under 0.001"
    told = [f"KL to unsteered {size} nats (95th percentile of its answer's tokens)"] if hue else []
    if total.projection is not None:
        unsteered = total.unsteered if hue else None
        told.append(f"Mean {projected(columns.vector, total.projection, unsteered, columns.measure)}")
    return told


def _thought(reply: Reply) -> str:
    if not reply.finished:
        return "It is inside its thought: no answer yet"
    return f"The first {len(reply.thought):,} characters are its thought" if reply.thought else ""


def _modified(written: Written) -> str:
    if not written.prompt and not written.generated:
        return "Nothing was modified"
    return f"Modified {written.prompt} prompt + {written.generated} generated positions"


def _tail(text: str, longest: int = 48) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"… {text[-longest:]}"
