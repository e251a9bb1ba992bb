"""A text classifier as a judge of refusals, from a local folder or the Hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from steering.confines import check_model
from steering.errors import SteeringError
from steering.judges.further import JUDGES, load_judge
from steering.lane import Job
from steering.model.host import Host


_NAMES = ("refus", "reject")
"""What a label that means refusal has in its name."""
_BATCH = 32
_LONGEST = 512


def load_classifier(host: Host, name: str, label: str = "") -> Callable[[Sequence[str]], list[bool]]:
    """A judge that says which replies a sequence classifier calls refusals.

    Args:
        host: The model; the classifier is put on its device and runs on its thread.
        name: A folder or a Hub id, or a judge of a package.
        label: The label that means refusal; the one with "refus" or "reject" in its name where empty.

    Raises:
        SteeringError: No such classifier, or no such label.
    """
    if name in JUDGES:
        return load_judge(host, name)
    check_model(name)
    return host.run(lambda job: _load(host, name, label), title=f"Loading the classifier {name}")


def _load(host: Host, name: str, label: str) -> Callable[[Sequence[str]], list[bool]]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
        model: Any = AutoModelForSequenceClassification.from_pretrained(name).eval().to(host.device)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SteeringError(
            f"The classifier '{name}' cannot be loaded: {why}",
            "a folder, or a Hub id, of a text classifier that transformers can read.",
            "Check the name, or go on without one.",
        ) from error
    place = _place(name, {int(index): str(text) for index, text in model.config.id2label.items()}, label)

    def judge(replies: Sequence[str]) -> list[bool]:
        return host.run(lambda job: _judge(model, tokenizer, replies, place, job), title="Classifying replies")

    return judge


def _judge(model: Any, tokenizer: Any, replies: Sequence[str], place: int, job: Job[Any]) -> list[bool]:
    found: list[bool] = []
    for start in range(0, len(replies), _BATCH):
        job.check()
        part = list(replies[start : start + _BATCH])
        inputs = tokenizer(part, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
        inputs = inputs.to(model.device)
        with torch.no_grad():
            found += (model(**inputs).logits.argmax(dim=-1) == place).tolist()
    return found


def _place(name: str, labels: dict[int, str], wanted: str) -> int:
    hits = [
        index
        for index, text in labels.items()
        if (text.lower() == wanted.lower() if wanted else _means_refusal(text.lower()))
    ]
    if len(hits) != 1:
        raise SteeringError(
            f"The classifier '{name}' has the labels {', '.join(labels.values())}.",
            f"one called '{wanted}'." if wanted else "exactly one that means refusal by its name.",
            "Name the label that means refusal.",
        )
    return hits[0]


def _means_refusal(label: str) -> bool:
    return any(part in label for part in _NAMES) and not label.startswith(("no", "non"))
