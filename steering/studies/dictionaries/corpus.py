"""The texts that a dictionary is trained on, as tokens, and those that are held out."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from steering.demo.example import Split
from steering.demo.grammar import stream
from steering.demo.tokens import CHAT_TEMPLATE, encode
from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, Role, render, render_text
from steering.names import short_name
from steering.numbers import counted
from steering.texts.contrast import ContrastSet
from steering.texts.contrast_files import find_contrast, presets
from steering.texts.sources import split_source
from steering.texts.text_lists import understood_texts


Reading = Literal["chat", "plain"]
GRAMMAR = "grammar"
"""The source that is the demo grammar."""
_GRAMMAR_WORDS = "conversations of the demo grammar (steering.demo.grammar.stream)"
_LEAST = 10
"""Tokens a feature, under which it is no more than what a handful of tokens look like."""
_FEW = 100
Ids = tuple[int, ...]
_Said = str | tuple[Message, ...]


@dataclass(frozen=True)
class Corpus:
    """Texts as tokens, cut at the model's context."""

    train: tuple[Ids, ...]
    held_out: tuple[Ids, ...]
    """Texts that are measured on; none of them, nor the other side of its pair, is among the others."""
    title: str
    """What they are, for a card."""
    notes: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[int, int]:
        """How many tokens there are to train and to measure on, first tokens left out."""
        return _tokens(self.train), _tokens(self.held_out)


def corpus(
    host: Host, source: str, *, reading: Reading, tokens: int, held_out: float, features: int, seed: int
) -> Corpus:
    """Read texts, cut them into tokens, and hold some out.

    Args:
        host: Whose tokenizer and template to use.
        source: See `TrainingSettings.source`.
        reading: In the model's template, or as they are.
        tokens: The most to train on; the held-out ones are as many as their share of these.
        held_out: Share that is held out.
        features: Of the dictionary.
        seed: Of the split.

    Raises:
        SteeringError: No texts were named, they cannot be read, or they are too few for so many features.
    """
    source = source.strip() or (GRAMMAR if host.info.demo else "")
    if source == GRAMMAR:
        found = _of_grammar(host, tokens, held_out, seed)
    elif source:
        found = _of_texts(host, source, reading, tokens, held_out, seed)
    else:
        raise SteeringError(
            f"No texts were named to train on, and {short_name(host.name)} is no demo model.",
            f"a file of texts, a contrast set ({', '.join(presets())}), or hub:owner/name.",
            "Name one as source.",
        )
    _check_enough(found, features)
    return found


def prompts_of(texts: Sequence[Ids]) -> list[Prompt]:
    """Token ids as prompts for readers that need no more of them."""
    template: Role = "template"
    return [Prompt("", ids, (template,) * len(ids), ("",) * len(ids)) for ids in texts]


def speaks_grammar(host: Host) -> bool:
    """Whether a model has the demo models' tokenizer and template."""
    return bool(getattr(host.tokenizer, "chat_template", None) == CHAT_TEMPLATE)


def _of_grammar(host: Host, tokens: int, held_out: float, seed: int) -> Corpus:
    if not speaks_grammar(host):
        raise SteeringError(
            f"The demo grammar was asked for, and {short_name(host.name)} has another tokenizer than the demo models.",
            "a demo model, or texts of your own.",
            "Name a file of texts or a contrast set as source.",
        )
    train = tuple(_until(_conversations(host, "train", seed), tokens))
    rest = tuple(_until(_conversations(host, "held_out", seed), max(1, round(tokens * held_out))))
    return Corpus(train, rest, _GRAMMAR_WORDS)


def _conversations(host: Host, split: Split, seed: int) -> Iterator[Ids]:
    most = host.info.context - 1
    for example in stream(split=split, seed=seed):
        yield tuple(encode(host.tokenizer, example.messages)[0][:most])


def _until(texts: Iterator[Ids], tokens: int) -> Iterator[Ids]:
    """Whole texts until there are so many tokens, first ones left out."""
    for ids in texts:
        yield ids
        tokens -= len(ids) - 1
        if tokens <= 0:
            return


def _of_texts(host: Host, source: str, reading: Reading, tokens: int, held_out: float, seed: int) -> Corpus:
    groups, notes = _groups(source)
    random.Random(seed).shuffle(groups)
    n_held_out = max(1, round(held_out * len(groups)))
    if len(groups) < 2:
        raise SteeringError(
            f"'{source[:200]}' holds one text.", "at least two, since one is held out.", "Choose another file."
        )
    held, kept = groups[:n_held_out], groups[n_held_out:]
    share = tokens * len(held) / len(kept)
    train, rest = (
        tuple(_until(_encoded(host, each, reading), wanted)) for each, wanted in ((kept, tokens), (held, int(share)))
    )
    most = host.info.context - 1
    cut = sum(len(ids) == most for ids in (*train, *rest))
    if cut:
        notes += (f"{counted(cut, 'text')} cut at {most:,} tokens, the model's context.",)
    return Corpus(
        train, rest, f"{_named(source)}, {'in the chat template' if reading == 'chat' else 'as plain text'}", notes
    )


def _named(source: str) -> str:
    """A source without the folders of whoever has it."""
    place, _ = split_source(source)
    return str(place) if str(place).startswith("hub:") else str(place).rstrip("/").rpartition("/")[2]


def _encoded(host: Host, groups: Sequence[Sequence[_Said]], reading: Reading) -> Iterator[Ids]:
    most = host.info.context - 1
    for group in groups:
        for said in group:
            yield _prompt(host, said, reading).ids[:most]


def _prompt(host: Host, said: _Said, reading: Reading) -> Prompt:
    if reading == "chat":
        return render(host, said)
    return render_text(host, said if isinstance(said, str) else "\n\n".join(each.content for each in said))


def _groups(source: str) -> tuple[list[tuple[_Said, ...]], tuple[str, ...]]:
    """Texts that belong on the same side of the split: a pair of a contrast set, or each for itself; none twice."""
    place, _ = split_source(source)
    if place in presets():
        return _pairs(ContrastSet.load(source))
    try:
        found = understood_texts(source)
    except SteeringError as error:
        try:
            return _pairs(ContrastSet.load(find_contrast(source)))
        except SteeringError:
            raise error from None
    return [(text,) for text in dict.fromkeys(found.texts)], found.notes


def _pairs(contrast: ContrastSet) -> tuple[list[tuple[_Said, ...]], tuple[str, ...]]:
    sides = [[each.messages for each in side] for side in (contrast.positive, contrast.negative)]
    if contrast.paired:
        return list(zip(*sides, strict=True)), contrast.notes
    return [(said,) for said in dict.fromkeys((*sides[0], *sides[1]))], contrast.notes


def _check_enough(found: Corpus, features: int) -> None:
    train, held_out = found.tokens
    if train < _LEAST * features or not held_out:
        raise SteeringError(
            f"The texts hold {train:,} tokens to train on and {held_out:,} held out.",
            f"at least {_LEAST * features:,} for {features:,} features, {_LEAST} a feature ({_FEW} and more are "
            "usual), and some held out.",
            "Give more texts, allow more tokens, or ask for fewer features.",
        )


def few_note(n: int, features: int) -> tuple[str, ...]:
    """What it means that there are few tokens a feature; nothing where there are enough."""
    if n >= _FEW * features:
        return ()
    return (
        f"{n:,} tokens for {features:,} features are {n / features:.0f} a feature: much of the dictionary is what "
        f"these very texts look like. {_FEW} and more are usual.",
    )


def _tokens(texts: Sequence[Ids]) -> int:
    return sum(max(0, len(ids) - 1) for ids in texts)
