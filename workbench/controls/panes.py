"""Replies side by side: one component whose value is a list of panes, and a card that opens at what was chosen there.

The page changes only what differs from the value before, so that a streamed token costs the browser the text of its
reply and not the conversation. Markup, style and script lie in `assets/replies`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from steering.resources import resource
from workbench.page.blocks import Unwritten, html_block
from workbench.page.cleaning import clean
from workbench.page.markup import escape


LONGEST_SAID = 2_000
"""Characters of a message that are shown above its reply."""
_MARKUP = resource("assets", "replies", "replies.html").read_text(encoding="utf-8")
_LOAD = "window.replyPanes(element, props, chosen => trigger('token', chosen), watch);"


@dataclass(frozen=True)
class Pane:
    """One reply."""

    title: str
    """"Unsteered" or the recipe's name."""
    hue: str = ""
    """"" for the unsteered model, else a recipe letter."""
    corner: str = ""
    """A figure in the upper right corner, such as the number of tokens."""
    before: str = ""
    """What was said before, as markup."""
    now: str = ""
    """The reply, as markup."""
    foot: str = ""
    """What was really done to the model, and how the reply ended."""
    state: str = ""
    """"empty" before any run, "waiting" before the first token, "writing" while it streams, "stopped" where it ended
    early, "" otherwise."""


class Panes(gr.HTML, metaclass=Unwritten):
    """As an output it takes panes. Fires `token` with the `column` and `token` that were chosen."""

    def preprocess(self, payload: Any) -> None:
        """Nothing: what it shows is the server's."""

    def postprocess(self, value: Sequence[Pane | dict[str, Any]] | None) -> list[dict[str, Any]]:
        """The panes as plain data; what was kept of some stays as it is."""
        return [pane if isinstance(pane, dict) else {**vars(pane)} for pane in value or ()]

    def cleaned(self, value: Any) -> list[dict[str, Any]]:
        """Panes of a kept view, as they may be shown; what is none is left out."""
        panes = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
        return [{**each, **{name: clean(str(each.get(name, ""))) for name in ("before", "now")}} for each in panes]

    def api_info(self) -> dict[str, Any]:
        """Of the value."""
        return {"type": "array", "items": {"type": "object"}}


def place_panes(value: Sequence[Pane], *, elem_id: str) -> Panes:
    """Place replies side by side, four of them in two rows where the screen is no wider, stacked on a narrow screen."""
    return Panes(value, html_template=_MARKUP, js_on_load=_LOAD, apply_default_css=False, elem_id=elem_id)


def place_card_at(many: str, *, elem_id: str) -> gr.HTML:
    """Place a card that stands right at what was chosen, in sight; its value is markup, empty where nothing is.

    Args:
        many: CSS selector of what can be chosen; the chosen one has the class `sw-chosen`.
        elem_id: The card's id.
    """
    script = f"window.cardAt(element, props, watch, {many!r});"
    return html_block("", elem_id=elem_id, elem_classes="sw-pop", js_on_load=script)


def card_at(inner: str) -> str:
    """A card around markup that is escaped already, with a button that closes it."""
    close = '<button type="button" class="sw-close" aria-label="Close" title="Close (Escape)">×</button>'
    return f'<section class="sw-card">{inner}{close}</section>'


def before_html(turns: Iterable[tuple[str, str]], asked: str = "") -> str:
    """What was said before a reply, (user, reply), and the message that it answers."""
    past = "".join(f'{_said(user)}<p class="sw-reply sw-past">{escape(reply)}</p>' for user, reply in turns)
    return past + (_said(asked) if asked.strip() else "")


def now_html(text: str, state: str, *, tokens: str = "") -> str:
    """A reply so far.

    Args:
        text: What the model has written.
        state: See `Pane`.
        tokens: The text as markup, token by token, once the tokens were read.
    """
    words = escape(text) if text.strip() else f'<span class="sw-faint">{_SILENCE.get(state, "(no text)")}</span>'
    caret = '<i class="sw-caret"></i>' if state == "writing" and text.strip() else ""
    return f"{tokens or words}{caret}"


_SILENCE = {"empty": "Press Run.", "waiting": "Waiting …", "writing": "…", "stopped": "Nothing was written."}


def _said(user: str) -> str:
    left = len(user) - LONGEST_SAID
    shown = f"{user[:LONGEST_SAID]} … ({left:,} more characters)" if left > 0 else user
    return f'<p class="sw-said">{escape(shown)}</p>'
