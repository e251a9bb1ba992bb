"""What a training is given, as tokens: each text once, and which of them belong together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from steering.errors import SteeringError
from steering.forms.tables import cut_text
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.model.templates import applied
from steering.passes.forced import Replied, reply_ids
from steering.texts.preferences import Labelled, Preference


Kind = Literal["pairs", "labelled", "wanted"]
"""What a loss takes: a chosen and a rejected reply; replies that are wanted or not; wanted ones alone."""
_SHOWN = 60
_MARK = "\ue000reply\ue001"  # of the private use area, which no template contains

Given = Preference | Labelled


@dataclass(frozen=True)
class Example:
    """What a step takes one or more of: indices into texts."""

    chosen: int
    """The chosen reply; of labelled data the one reply that there is."""
    rejected: int | None = None
    """The rejected one, of pairs."""
    wanted: bool = True
    """Of labelled data: whether the reply is wanted."""
    other: int | None = None
    """The same prompt with somebody else's reply, where a loss asks for it."""


@dataclass(frozen=True)
class Texts:
    """Texts as tokens, each once."""

    replied: tuple[Replied, ...]
    examples: tuple[Example, ...]
    items: tuple[Given, ...] = ()
    """What of the data each example is of, (example,)."""
    beside: tuple[int, ...] = ()
    """Unwanted replies, of a loss that takes wanted ones alone: they say where the mean difference points."""


def texts_of(host: Host, data: Sequence[Given], kind: Kind, *, others: bool = False) -> Texts:
    """Tokenise what a loss is trained on. Pairs become two labelled replies, or the chosen one alone, where asked for.

    Args:
        host: The model.
        data: Pairs, or labelled replies.
        kind: What the loss takes.
        others: Whether each prompt is also read with the reply of the next example.

    Raises:
        SteeringError: A text that is longer than the context.
    """
    taken = _Taken(host)
    found = [_examples(taken, item, index, kind) for index, item in enumerate(data)]
    examples = [each for own, _ in found for each in own]
    if others and examples:
        replied = taken.found
        examples = [
            Example(
                each.chosen,
                each.rejected,
                each.wanted,
                taken.again(replied[each.chosen][0], replied[next_.chosen][1]),
            )
            for each, next_ in zip(examples, [*examples[1:], examples[0]], strict=True)
        ]
    items = tuple(item for item, (own, _) in zip(data, found, strict=True) for _ in own)
    return Texts(tuple(taken.found), tuple(examples), items, tuple(other for _, beside in found for other in beside))


def check(data: Sequence[Given], kind: Kind, *, both: bool = True) -> None:
    """Refuse what cannot be trained on, before anything is read.

    Args:
        data: Pairs, or labelled replies.
        kind: What the loss takes.
        both: Whether both labels are needed; not of examples on which a training is only watched.

    Raises:
        SteeringError: Nothing given, equal or empty replies, labelled replies where pairs are needed, or of one label
            alone where both are.
    """
    if not data:
        raise SteeringError(
            "No examples were given to train on.", "at least one pair of replies.", "Choose a set, or upload one."
        )
    for index, item in enumerate(data):
        _check_item(item, index, kind)
    labels = {item.wanted for item in data if both and is_labelled(item)}
    if kind == "labelled" and len(labels) == 1:
        raise SteeringError(
            f"All {len(data)} replies are {'wanted' if labels.pop() else 'unwanted'}.",
            "some that are wanted and some that are not: this loss tells them apart.",
            "Add replies of the other kind, or train by likelihood (sft) on wanted ones.",
        )
    if kind == "wanted" and labels == {False}:
        raise SteeringError(
            f"None of {len(data)} replies is wanted.", "wanted ones, whose likelihood is raised.", "Add some."
        )


def is_labelled(item: Any) -> TypeGuard[Labelled]:
    """Whether an example has one reply and a label."""
    return isinstance(item, Labelled)


def digest_of(data: Sequence[Given]) -> str:
    """First 12 hex digits of a SHA-256 over prompts, replies and labels, in order."""
    said = [[[(turn.role, turn.content) for turn in item.messages], *_sides(item).values()] for item in data]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def replied_of(host: Host, prompt: Prompt, reply: str) -> Replied:
    """A prompt with a reply's tokens behind it, and the token by which the model ends its turn."""
    return prompt, (*reply_ids(host, reply), *turn_end(host))


def turn_end(host: Host) -> tuple[int, ...]:
    """The token by which the model ends a reply: what its template puts behind one, else the tokenizer's end; none
    where neither ends a reply of this model.
    """
    turns = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": _MARK}]
    behind = ""
    if host.info.chat_template:
        try:
            behind = applied(host.tokenizer, turns, generation_prompt=False).partition(_MARK)[2]
        except Exception:  # jinja raises whatever the template's author chose
            behind = ""
    ids = host.tokenizer(behind, add_special_tokens=False)["input_ids"] if behind else []
    own = host.tokenizer.eos_token_id
    return next(((token,) for token in (*ids, own) if token in host.end_ids), ())


class _Taken:
    """Texts as they are asked for, each once."""

    def __init__(self, host: Host) -> None:
        self.found: list[Replied] = []
        self._host = host
        self._prompts: dict[tuple[Message, ...], Prompt] = {}
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}

    def index(self, messages: tuple[Message, ...], reply: str, where: str) -> int:
        if messages not in self._prompts:
            self._prompts[messages] = render(self._host, messages)
        prompt, ids = replied_of(self._host, self._prompts[messages], reply)
        length, most = len(prompt) + len(ids), self._host.info.context
        if length > most:
            raise SteeringError(
                f"{where} has {length} tokens with its prompt.",
                f"at most {most}: {self._host.name} has a context of {most} tokens.",
                "Shorten or leave it out, or load a model with a longer context.",
            )
        return self.again(prompt, ids)

    def again(self, prompt: Prompt, ids: tuple[int, ...]) -> int:
        most = self._host.info.context
        ids = ids[: most - len(prompt)]  # of another example, whose prompt may be shorter
        key = prompt.ids, ids
        if key not in self._known:
            self._known[key] = len(self.found)
            self.found.append((prompt, ids))
        return self._known[key]


def _examples(taken: _Taken, item: Given, index: int, kind: Kind) -> tuple[list[Example], list[int]]:
    """What becomes of one item, and its texts that stand beside."""
    sides = {
        side: taken.index(tuple(item.messages), reply, f"The {side} reply of {_place(item, index)}")
        for side, reply in _sides(item).items()
        if isinstance(reply, str) and reply.strip()
    }
    if is_labelled(item):
        own = item.wanted or kind == "labelled"
        return ([Example(sides["one"], wanted=item.wanted)], []) if own else ([], [sides["one"]])
    chosen, rejected = sides["chosen"], sides.get("rejected")
    if kind == "labelled":
        return [Example(chosen), Example(sides["rejected"], wanted=False)], []
    if kind == "wanted":
        return [Example(chosen)], [] if rejected is None else [rejected]
    return [Example(chosen, rejected)], []


def _sides(item: Given) -> Mapping[str, str | bool]:
    if is_labelled(item):
        return {"one": item.completion, "wanted": item.wanted}
    return {"chosen": item.chosen, "rejected": item.rejected}  # type: ignore[union-attr]


def _check_item(item: Given, index: int, kind: Kind) -> None:
    sides = {side: reply for side, reply in _sides(item).items() if isinstance(reply, str)}
    if kind == "pairs" and len(sides) == 1:
        raise SteeringError(
            f"{_place(item, index)} has one reply and a label.",
            "a chosen and a rejected reply, which this loss holds against each other.",
            "Bring pairs, or choose a loss for labelled replies: kto, bco or sft.",
        )
    for side, reply in sides.items():
        if not reply.strip() and not (kind == "wanted" and side == "rejected"):
            raise SteeringError(
                f"The {side} reply of {_place(item, index)} is empty.",
                "some text in every reply.",
                "Fill it in, or leave that example out.",
            )
    replies = [reply.strip() for reply in sides.values()]
    if kind != "wanted" and len(replies) == 2 and replies[0] == replies[1]:
        raise SteeringError(
            f"{_place(item, index)} says the same on both sides: '{cut_text(replies[0], _SHOWN)}'.",
            "two replies that differ.",
            "Change one of them, or leave that example out.",
        )


def _place(item: Given, index: int) -> str:
    where = getattr(item, "where", "")
    return f"example {index + 1}{f' ({where})' if where else ''}"
