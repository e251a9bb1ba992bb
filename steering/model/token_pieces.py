"""Tokens as readable pieces of their text: spaces kept, characters of several tokens whole, else their bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any

from transformers.convert_slow_tokenizer import bytes_to_unicode


_BROKEN = "\ufffd"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_LONGEST = 8
"""Tokens after which a character that does not end is given up and shown as bytes."""


def pieces_of_text(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What each token stands for in a text; joined they are the text.

    A character whose bytes are split over tokens belongs to the last of them, and the others have "". What a tokenizer
    passes over, such as a space before a word, belongs to the next token.

    Args:
        text: What was tokenised.
        offsets: (start, end) of every token in it, ascending; (0, 0) of tokens that were added.
    """
    ends = [end for _, end in offsets]
    pieces, cursor = [], 0
    for index, (start, end) in enumerate(offsets):
        shared = index + 1 < len(ends) and ends[index + 1] == end and offsets[index + 1][0] < end
        if start == end or shared:
            pieces.append("")
            continue
        pieces.append(text[cursor:end])
        cursor = max(cursor, end)
    last = next((index for index in reversed(range(len(pieces))) if pieces[index]), None)
    if last is not None:
        pieces[last] += text[cursor:]
    return tuple(pieces)


def pieces_of_reply(tokenizer: Any, ids: Sequence[int], *, special: bool = True) -> list[str]:
    """What each token adds to a text that is decoded token by token: decoded by itself it would lose a leading space in
    some tokenizers, and half a character would be none. Bytes that never become a character are shown as such.

    Args:
        tokenizer: Of the model.
        ids: The tokens.
        special: Whether special tokens are part of the text.
    """
    pieces: list[str] = []
    begin, before, held = 0, "", 0
    for end in range(1, len(ids) + 1):
        text = decoded(tokenizer, ids[begin:end], special=special)
        if text.endswith(_BROKEN) and end < len(ids) and held < _LONGEST:
            pieces.append("")
            held += 1
            continue
        added = text[len(before) :]
        if _BROKEN in added:  # never a character
            pieces[len(pieces) - held :] = [readable(tokenizer, token) for token in ids[end - 1 - held : end]]
        else:
            pieces.append(added)
        # One token of what went before is enough to know whether a space leads.
        begin, held = end - 1, 0
        before = decoded(tokenizer, ids[begin:end], special=special)
    return pieces


def decoded(tokenizer: Any, ids: Sequence[int], *, special: bool = True) -> str:
    """The text of tokens. Most tokenizers pass over a number that they do not know, since a model may have more tokens;
    where one fails at it (ByT5's), it is shown as ⟨token 500⟩.

    Args:
        tokenizer: Of the model.
        ids: The tokens.
        special: Whether special tokens are part of the text.
    """
    ids = list(ids)
    try:
        return tokenizer.decode(ids, skip_special_tokens=not special)
    except Exception:  # each fails in its own way
        if len(ids) == 1:
            return _unknown(ids[0])
        runs = groupby(ids, lambda token: _fails(tokenizer, token))
        parts = [[[token] for token in run] if fails else [list(run)] for fails, run in runs]
        if parts == [[ids]]:
            raise
        return "".join(decoded(tokenizer, part, special=special) for run in parts for part in run)


def _fails(tokenizer: Any, token: int) -> bool:
    try:
        tokenizer.decode([token])
    except Exception:  # as above
        return True
    return False


def _unknown(token: int) -> str:
    return f"⟨token {token}⟩"


def readable(tokenizer: Any, token: int) -> str:
    """A token by itself; its bytes, as ⟨F0 9F⟩, where they are not a whole character, and its number, as ⟨token 500⟩,
    where the tokenizer knows no such token.
    """
    text, name = decoded(tokenizer, [token]), tokenizer.convert_ids_to_tokens(token)
    if name is None:
        return text or _unknown(token)
    if _BROKEN not in text:
        return text
    found = _bytes(name)
    return f"⟨{found.hex(' ').upper()}⟩" if found else text.replace(_BROKEN, "⟨?⟩")


def _bytes(token: str) -> bytes:
    """The bytes behind a token of a byte-level or byte-fallback vocabulary; none for another one."""
    if _BYTE.fullmatch(token):
        return bytes.fromhex(token[3:5])
    if all(letter in _letters() for letter in token):
        return bytes(_letters()[letter] for letter in token)
    return b""


@cache
def _letters() -> dict[str, int]:
    """GPT-2's letters for bytes, which byte-level vocabularies are written in."""
    return {letter: byte for byte, letter in bytes_to_unicode().items()}
