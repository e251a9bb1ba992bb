"""Replies as HTML: the two panes, the first token that differs, and the recipe behind them."""

from __future__ import annotations

from collections.abc import Sequence

from steering.decoding import FINISHES, Reply, Written
from steering.recipes import Recipe
from workbench.markup import escape, heading, note, pane, panes, table


UNSTEERED, RECIPE_A = "Unsteered", "Recipe A"


def replies_html(replies: Sequence[Reply] | None, *, state: str = "") -> str:
    """Both panes.

    Args:
        replies: The unsteered and the steered reply, so far or final; None before the first token.
        state: "" for final ones, "empty", "waiting", "writing", or "stopped".
    """
    if not replies:
        return panes(pane(UNSTEERED, "", state=state), pane(RECIPE_A, "", hue="a", state=state))
    plain, steered = replies
    return panes(
        _pane(UNSTEERED, plain, "", "Nothing was modified", state),
        _pane(RECIPE_A, steered, "a", _modified(steered.written), state),
    )


def divergence_html(replies: Sequence[Reply]) -> str:
    """The likeliest next tokens of both rows where they part, or a word that they did not."""
    title = heading("The first token that differs")
    divergence = replies[1].divergence
    if divergence is None and not sum(replies[1].written.__dict__.values()):
        return title + note("None: nothing was modified. A condition of the recipe did not hold, or nothing is used.")
    if divergence is None:
        return title + note(
            "None: both replies are the same so far. A greater strength or another block may tell them apart."
        )
    rows = [(_token(token), _chance(plain), _chance(steered)) for token, plain, steered in divergence.candidates]
    after = f"after “{_tail(divergence.context)}”" if divergence.context else "the first token"
    return (
        title + table((after, "unsteered", "recipe A"), rows) + note("Probability of each token, before temperature.")
    )


def recipe_html(recipe: Recipe) -> str:
    """The recipe as JSON, folded away: all that is needed to run it again."""
    written = escape(recipe.model_dump_json(indent=2))
    return f"<details class='sw-json'><summary>Recipe as JSON</summary><pre>{written}</pre></details>"


def _pane(title: str, reply: Reply, hue: str, modified: str, state: str) -> str:
    writing = state == "writing" and reply.finish is None
    count = len(reply.ids)
    end = FINISHES[reply.finish] if reply.finish else {"stopped": "stopped"}.get(state, "")
    return pane(
        title,
        reply.text,
        hue=hue,
        corner=f"{count} token{'s' * (count != 1)}",
        foot=" · ".join(part for part in (modified, end) if part),
        state="writing" if writing else "",
    )


def _modified(written: Written) -> str:
    if not written.prompt and not written.generated:
        return "Nothing was modified"
    return f"Modified {written.prompt} prompt + {written.generated} generated positions"


def _token(token: str) -> str:
    """A token with its leading space shown, since “dog” and “ dog” are two tokens."""
    return token.replace("\n", "⏎").replace(" ", "␣") or "(empty)"


def _chance(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else "< 0.01"


def _tail(text: str, longest: int = 48) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"… {text[-longest:]}"
