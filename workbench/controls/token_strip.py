"""The prompt as tokens that can be picked: one component whose value is a `Strip`; what it looks like lies in
`assets/tokens`, and stands in the page's head once (`workbench.page.theme`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from steering.resources import resource
from workbench.page.blocks import Unwritten
from workbench.places import without_places


MOST_DRAWN = 400
"""Tokens; of a longer prompt the first and the last ones are drawn, half of these each."""
MOST_CHARACTERS = 40
"""Of one token."""
_MARKUP = resource("assets", "tokens", "tokens.html").read_text(encoding="utf-8")
_LOAD = "window.tokenStrip(element, props, run => trigger('pick', run), watch);"


@dataclass(frozen=True)
class Strip:
    """A prompt's tokens, whose they are, and where recipes write."""

    tokens: Sequence[str] = ()
    """As readable pieces, (tokens,)."""
    roles: Sequence[str] = ()
    """Whose each is, (tokens,)."""
    written: Mapping[str, Sequence[bool]] | None = None
    """Recipe letter -> whether it changes the states at each position, (tokens,)."""
    generated: Sequence[str] = ()
    """Letters of the recipes that also change every generated token."""
    picked: Sequence[int] = ()
    """Positions to set off."""
    said: str = ""
    """A sentence below."""

    @property
    def plain(self) -> dict[str, Any]:
        """What the page shows of it: no more tokens and no longer ones than it can draw at once."""
        count = len(self.tokens)
        half = MOST_DRAWN // 2
        drawn = [*range(half), *range(count - half, count)] if count > MOST_DRAWN else range(count)
        return {
            "tokens": [self._token(position) for position in drawn],
            "cut": half,
            "hidden": count - len(drawn),
            "roles": list(dict.fromkeys(self.roles)),
            "generated": list(self.generated),
            "picked": sorted(set(self.picked) & set(drawn)),
            "said": without_places(self.said),
        }

    def _token(self, position: int) -> list[Any]:
        """[position, text, role, letters, whether a space goes before it]: pieces of one word stand close together."""
        token = self.tokens[position]
        hues = [hue for hue, each in (self.written or {}).items() if each[position]]
        return [position, _shown(token), self.roles[position], hues, token.startswith(" ")]


class TokenStrip(gr.HTML, metaclass=Unwritten):
    """As an output it takes a `Strip`, or None for none. Fires `pick` with the `first` and `last` position of a run."""

    def preprocess(self, payload: Any) -> None:
        """Nothing: what is picked stands in the recipes that write there."""

    def postprocess(self, value: Strip | None) -> dict[str, Any] | None:
        """The strip as plain data."""
        return None if value is None else value.plain

    def api_info(self) -> dict[str, Any]:
        """Of the value."""
        return {"type": "object"}


def place_strip(value: Strip, *, elem_id: str) -> TokenStrip:
    """Place the tokens of a prompt."""
    return TokenStrip(
        value,
        html_template=_MARKUP,
        js_on_load=_LOAD,
        apply_default_css=False,
        elem_id=elem_id,
    )


def _shown(token: str) -> str:
    """A token to be read; one without text begins a character that a later one ends."""
    if not token:
        return "…"
    text = token.strip(" ").replace("\n", "⏎") or "␣"
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
