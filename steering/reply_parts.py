"""Thought and answer among the tokens of a reply."""

from __future__ import annotations

import re
from collections.abc import Sequence

from steering.host import Host
from steering.prompts import Prompt
from steering.thoughts import Parts, markers_of, split


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
    parts = split(host.tokenizer.decode(ids).rstrip("\ufffd"), markers, opened=prompt.opened)
    special = re.compile("|".join(map(re.escape, host.tokenizer.all_special_tokens)) or r"(?!)")
    return Parts(special.sub("", parts.thought).strip(), special.sub("", parts.answer).strip(), parts.finished)


def leaves_thought(host: Host, prompt: Prompt, ids: Sequence[int]) -> bool:
    """Whether a reply has left its thought, or begins without one."""
    markers, text = markers_of(host.tokenizer), host.tokenizer.decode(ids)
    parts = split(text, markers, opened=prompt.opened)
    # A first token or two may be the beginning of a delimiter.
    begins = any(opening.startswith(text.strip()) for opening, _ in markers.pairs)
    return parts.finished and not (begins and not prompt.opened)
