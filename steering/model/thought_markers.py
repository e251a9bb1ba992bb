"""The delimiters of a model's thoughts, read from its chat template and its tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from steering.model.templates import applied, template_of, words_of
from steering.model.thoughts import ENDS, TAG, WORDS, Markers, key_of


_CHANNEL = "<|channel|>analysis"
_CLOSING = {"begin": "end", "start": "end", "open": "close", "prefix": "suffix"}
_OPENS = re.compile(rf"(?<![a-z])(?:{'|'.join(_CLOSING)})(?![a-z])", re.IGNORECASE)
_THOUGHT, _ANSWER = "\ue004thought\ue005", "\ue004answer\ue005"
_KNOWN: WeakKeyDictionary[Any, tuple[str, Markers]] = WeakKeyDictionary()


def markers_of(tokenizer: Any) -> Markers:
    """The delimiters of a model's thoughts, from its chat template: what it writes around a message's reasoning, what
    it cuts old replies at, and bracketed names that say thought, in its text and among the tokenizer's added tokens.

    Gemma 4's `<|channel>thought … <channel|>` and gpt-oss' `<|channel|>analysis<|message|> … <|end|><|start|>assistant
    <|channel|>final<|message|>` are found by the first way, DeepSeek R1's `</think>` by the second, Cohere's
    `<|START_THINKING|>` by the third.
    """
    template = template_of(tokenizer)
    if not template:
        return Markers()
    known = _KNOWN.get(tokenizer)
    if known is None or known[0] != template:
        known = _KNOWN[tokenizer] = (template, _read(tokenizer, template))
    return known[1]


def _read(tokenizer: Any, template: str) -> Markers:
    words = "\n".join(words_of(template))
    added = [token for token in getattr(tokenizer, "added_tokens_encoder", {}) if TAG.fullmatch(token)]
    tags = list(dict.fromkeys([*(found[0] for found in TAG.finditer(words)), *added]))
    written = _written(tokenizer)
    cut = [(_opening_for(tag, tags), tag) for tag in _closings(words) if _cuts(tokenizer, tag)]
    named = [(tag, end) for tag in tags for end in tags if ENDS.search(end) and tag != end and _are_pair(tag, end)]
    prose = [("Here is my thought process:", "Here is my response:")] if "Here is my thought process:" in words else []
    opened = _opened(_tried(tokenizer, [{"role": "user", "content": "Hello."}]) or "")
    found = dict.fromkeys((*([written] if written else []), *cut, *named, *prose, *opened))
    keys = {key_of(opening): (opening, closing) for opening, closing in reversed(found)}
    return Markers(tuple(reversed(keys.values())))


def _opened(prompt: str) -> list[tuple[str, str]]:
    """A thought that the generation prompt opens, with the closing that belongs to it by its form."""
    if (prompt := prompt.rstrip()).endswith((_CHANNEL, f"{_CHANNEL}<|message|>")):
        return [(f"{_CHANNEL}<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>")]
    last = next((found[0] for found in TAG.finditer(prompt) if found.end() == len(prompt)), "")
    if not last or ENDS.search(last):
        return []
    turned = _OPENS.sub(lambda word: _CLOSING[word[0].lower()], last)
    turned = re.sub(r"\A(\W+)", r"\1/", last) if turned == last else turned
    return [(last, turned.upper() if last.isupper() else turned)]


def _are_pair(opening: str, closing: str) -> bool:
    return not ENDS.search(opening) and key_of(opening) == key_of(closing)


def _written(tokenizer: Any) -> tuple[str, str] | None:
    """What the template writes around the reasoning of a last message, where it shows it."""
    asked = {"role": "user", "content": "Hello."}
    thinks = {"role": "assistant", "content": _ANSWER, "reasoning_content": _THOUGHT}
    text = _tried(tokenizer, [asked, thinks], generation_prompt=False)
    if text is None or _THOUGHT not in text or _ANSWER not in text.partition(_THOUGHT)[2]:
        return None
    before, _, after = text.partition(_THOUGHT)
    start = _tried(tokenizer, [asked], generation_prompt=True) or ""
    opening = _behind(before, start).strip() or _last_name(before)
    closing = after.partition(_ANSWER)[0].strip()
    return (opening, closing) if opening and closing else None


def _behind(text: str, start: str) -> str:
    """What a text has beyond a common beginning, cut at a bracket, so that `<` alone is never left out."""
    shared = next(
        (i for i, (one, two) in enumerate(zip(text, start, strict=False)) if one != two), min(len(text), len(start))
    )
    while shared and shared < len(text) and text[shared - 1] in "<[|◁":
        shared -= 1
    return text[shared:]


def _last_name(text: str) -> str:
    """The end of a text from the bracket before its last word for thought on."""
    found = list(re.finditer(WORDS, text, re.IGNORECASE))
    if not found:
        return ""
    starts = [text.rfind(bracket, 0, found[-1].start()) for bracket in "<[◁【⟨"]
    return text[max(starts) :].strip() if max(starts) >= 0 else ""


def _closings(words: str) -> list[str]:
    tags = re.findall(r"(?:<|\[|◁)[^\s<>\[\]◁▷'\"]{1,40}(?:>|\]|▷)", words)
    return list(dict.fromkeys(tags))


def _opening_for(closing: str, tags: Sequence[str]) -> str:
    return next((tag for tag in tags if _are_pair(tag, closing)), closing.replace("/", "", 1))


def _cuts(tokenizer: Any, tag: str) -> bool:
    """Whether the template leaves out of an old reply what stands before a tag, as it does with thoughts."""

    def old(content: str) -> str:
        turns = [("user", "Hello."), ("assistant", content), ("user", "And now?")]
        return _tried(tokenizer, [{"role": role, "content": said} for role, said in turns]) or ""

    whole, cut = old(_THOUGHT + _ANSWER), old(_THOUGHT + tag + _ANSWER)
    return _THOUGHT in whole and _ANSWER in cut and _THOUGHT not in cut


def _tried(tokenizer: Any, messages: list[dict[str, str]], *, generation_prompt: bool = True) -> str | None:
    try:
        return applied(tokenizer, messages, generation_prompt=generation_prompt)
    except Exception:  # jinja raises whatever the template's author chose
        return None
