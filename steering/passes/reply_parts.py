"""Thought and answer among the tokens of a reply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from steering.model.host import Host
from steering.model.prompts import Prompt, Role
from steering.model.thought_markers import markers_of
from steering.model.thoughts import Parts, split
from steering.model.token_pieces import decoded, pieces_of_reply
from steering.passes.replies import Reply


def parts_of(host: Host, prompt: Prompt, ids: Sequence[int]) -> Parts | None:
    """A reply taken apart by the delimiters of the model's template; None for a template that names none.

    Args:
        host: The model.
        prompt: What was answered, which may have opened a thought.
        ids: The reply's tokens.
    """
    markers = markers_of(host.tokenizer)
    if not markers.pairs:
        return None
    # Delimiters are often special tokens, so they are looked for before those are dropped.
    parts = split(decoded(host.tokenizer, ids).rstrip("\ufffd"), markers, opened=prompt.opened)
    special = re.compile("|".join(map(re.escape, host.tokenizer.all_special_tokens)) or r"(?!)")
    return Parts(special.sub("", parts.thought).strip(), special.sub("", parts.answer).strip(), parts.finished)


def thought_length(host: Host, prompt: Prompt, ids: Sequence[int]) -> int | None:
    """How many of a reply's tokens stand before its answer, delimiters included: 0 where it begins without a thought,
    None while the thought goes on, or may still begin.

    Args:
        host: The model.
        prompt: What is answered, which may have opened a thought.
        ids: The reply so far; as soon as its thought has ended.
    """
    markers, text = markers_of(host.tokenizer), decoded(host.tokenizer, ids)
    parts = split(text, markers, opened=prompt.opened)
    # A first token or two may be the beginning of a delimiter.
    begins = any(opening.startswith(text.strip()) for opening, _ in markers.pairs)
    if not parts.finished or (begins and not prompt.opened):
        return None
    return 0 if parts == Parts("", text) and not prompt.opened else len(ids)


def followed(host: Host, prompt: Prompt, ids: Sequence[int], role: Role) -> Prompt:
    """A prompt with tokens of a reply behind it, as the model itself would go on from there."""
    return replace(
        prompt,
        text=prompt.text + decoded(host.tokenizer, ids),
        ids=(*prompt.ids, *ids),
        roles=(*prompt.roles, *([role] * len(ids))),
        tokens=(*prompt.tokens, *pieces_of_reply(host.tokenizer, ids)),
        opened=False,
        thought_tokens=0,
    )


def answer_of(host: Host, prompt: Prompt, reply: Reply) -> tuple[Prompt, tuple[int, ...]]:
    """The prompt behind a reply's thought, and the tokens of its answer; none for a thought without one."""
    before = reply.thought_tokens
    return followed(host, prompt, reply.ids[:before], "template") if before else prompt, reply.ids[before:]
