"""Replies as a notebook shows them: side by side, their tokens coloured by KL where those were read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from steering.forms.markup import columns, fold, head, note, output, shade, verbatim
from steering.forms.tables import cut_text
from steering.numbers import counted, plain_number
from steering.writes.plan_words import plan_words


if TYPE_CHECKING:
    from steering.passes.replies import Reply, TokenReading
    from steering.passes.rows import Row

FULL = 1.0
"""Nats that get the full colour at least, so that next to nothing does not look like much."""
FINISHES = {
    "end": "the model ended its reply",
    "length": "the asked length was reached",
    "context": "the model's context is full",
    "thought": "the thought took all the tokens it may have",
}
"""Why a reply ended."""
_LETTERS = "abc"
_MOST = 12
_COLOURS = (
    "Colour: KL(unsteered || this) of the distribution that each token was taken from, full at {} nats. Point at a "
    "token for its numbers and what else could have stood there."
)


def replies_html(replies: Sequence[Reply], rows: Sequence[Row] = ()) -> str:
    """A whole output."""
    titles, shown = titles_of(replies, rows), replies[:_MOST]
    full = max([FULL, *(each.divergence for reply in shown for each in reply.readings)])
    parts = [(hue, title, reply_markup(reply, hue, full)) for reply, (hue, title) in zip(shown, titles, strict=False)]
    plans = [(title, row.plan) for row, (_, title) in zip(rows, titles, strict=True) if row.plan] if rows else []
    does = [note(f"{title}: {'; '.join(plan_words(plan))}.") for title, plan in plans[:_MOST]]
    left = len(replies) - len(shown)
    return output(
        head("Reply" if len(replies) == 1 else counted(len(replies), "reply", "replies"), _of(rows)),
        columns(parts),
        note(_COLOURS.format(plain_number(full))) if any(reply.readings for reply in shown) else "",
        *does,
        note(f"{left} more are not shown.") if left > 0 else "",
        _prompts(rows),
    )


def replies_text(replies: Sequence[Reply], rows: Sequence[Row] = ()) -> str:
    """The same in plain text."""
    titles = titles_of(replies, rows)
    return "\n\n".join(
        f"{title}\n{reply_text(reply)}".lstrip("\n") for reply, (_, title) in zip(replies, titles, strict=True)
    )


def reply_text(reply: Reply) -> str:
    """A reply in plain text: what it says, and what was done to it."""
    thought = f"(thought) {reply.thought}\n" if reply.thought else ""
    return f"{thought}{reply.answer or reply.text or '(no text)'}\n[{reply_facts(reply)}]"


def reply_line(reply: Reply) -> str:
    """A reply in a line."""
    return f"<Reply: {cut_text(reply.answer or reply.text, 60)!r}, {reply_facts(reply)}>"


def titles_of(replies: Sequence[Reply], rows: Sequence[Row] = ()) -> list[tuple[str, str]]:
    """Hue and title of each reply: those of rows that write nothing are unsteered, the others are recipes in order."""
    if not rows:
        return [("a" if _written(reply) else "", "") for reply in replies]
    found: list[tuple[str, str]] = []
    steered = 0
    for n, row in enumerate(rows):
        hue = _LETTERS[steered % len(_LETTERS)] if row.plan else ""
        steered += bool(row.plan)
        found.append((hue, f"Row {n}, steered" if row.plan else f"Row {n}, unsteered"))
    return found


def reply_markup(reply: Reply, hue: str, full: float) -> str:
    """One reply: its thought folded, its text, and what was done to it."""
    answer = reply.readings[reply.thought_tokens :]
    text = tokens_markup(answer, hue, full) if answer else escape(reply.answer or reply.text or "(no text)")
    thought = fold("Thought", verbatim(reply.thought)) if reply.thought else ""
    return f'{thought}<div class="t">{text}</div>{note(reply_facts(reply))}{_parted(reply)}'


def reply_facts(reply: Reply) -> str:
    """What was done to a reply, how far it was moved, and why it ended."""
    written, behind = reply.written, f" behind {reply.thought_tokens} of thought" if reply.thought_tokens else ""
    modified = (
        f"modified {written.prompt} prompt + {written.generated} generated positions"
        if _written(reply)
        else "nothing was modified"
    )
    apart = [each.divergence for each in reply.readings[reply.thought_tokens :]]
    moved = f"KL p95 {plain_number(float(np.percentile(apart, 95)))} nats" if apart and _written(reply) else ""
    end = FINISHES[reply.finish] if reply.finish else "stopped, or still written"
    return " · ".join(filter(None, (counted(reply.answer_tokens, "token") + behind, moved, modified, end)))


def tokens_markup(readings: Sequence[TokenReading], hue: str, full: float) -> str:
    """Tokens coloured by KL, each with its numbers to point at."""
    parts: list[str] = []
    for reading in readings:
        text = reading.piece if parts else reading.piece.lstrip()
        if text:  # else a special token, or the first bytes of a character that a later token completes
            style = shade(hue, reading.divergence / full)
            parts.append(f'<span style="{style}" title="{escape(_hover(reading))}">{escape(text)}</span>')
    return "".join(parts)


def _hover(reading: TokenReading) -> str:
    lines = [f"KL {plain_number(reading.divergence)} nats, log-probability change {reading.change:+.3g} nats"]
    if reading.projection is not None:
        lines.append(
            f"projection {reading.projection:+.2f} of the vector's strength 1, unsteered {reading.unsteered or 0:+.2f}"
        )
    lines += [f"“{token}” {before:.2f} → {own:.2f}" for token, before, own in reading.alternatives]
    return "\n".join(lines)


def _parted(reply: Reply) -> str:
    """The first token at which it parts from what it is compared with."""
    if reply.divergence is None:
        return ""
    after = reply.divergence.context[-40:]
    at = f"It parts after “{after}”" if after else "It parts at the first token"
    told = [f"“{token}” {before:.2f} → {own:.2f}" for token, before, own in reply.divergence.candidates]
    return note(f"{at}: {', '.join(told)} (probability there → here, before temperature).")


def _prompts(rows: Sequence[Row]) -> str:
    found = dict.fromkeys(row.prompt.text for row in rows)
    if len(found) == 1:
        return fold("Prompt as the model reads it", verbatim(next(iter(found))))
    return fold("Prompts as the model reads them", "".join(map(verbatim, list(found)[:_MOST])))


def _of(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    prompts = {row.prompt.text for row in rows}
    return "to one prompt" if len(prompts) == 1 else f"to {len(prompts)} prompts"


def _written(reply: Reply) -> bool:
    return bool(reply.written.prompt or reply.written.generated)
