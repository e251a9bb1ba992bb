"""What a group of features does to replies: switched off where its side of a contrast set is, turned up elsewhere.

A look at a few replies, side by side; the study of cause measures shares on many prompts, beside random features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.prompts import Prompt, conversation
from steering.numbers import counted, plain_number
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.ranges import compact
from steering.recipes.nats import calibration_prompts
from steering.studies.features.cause_plans import off_plan, up_plan
from steering.studies.features.found import Found
from steering.studies.features.pooled import pooled
from steering.studies.features.reading import read_features
from steering.studies.features.settings import FeaturesSettings
from steering.studies.features.sources import Side, Source
from steering.studies.size import Work, tokens_of
from steering.writes.interventions import Plan


EVERYDAY = "everyday"
"""What everyday requests are called beside the sides of a contrast set."""
COLUMNS = ("set", "group", "prompt", "features_of", "features", "done", "text")
GROUP = 8
"""Features of a side that are changed together, at most."""
_ALPHA = 0.05


@dataclass(frozen=True)
class Group:
    """Features that are more active on one side of a contrast set."""

    side: Side
    label: str
    features: tuple[int, ...]


@dataclass(frozen=True)
class _Asked:
    """A prompt and what is done with a group of features in its reply; nothing where there is none."""

    prompts: str
    text: str
    prompt: Prompt
    group: Group | None
    done: Literal["none", "off", "up"]
    plan: Plan


def groups_of(found: Found) -> list[Group]:
    """The features of either side that differ most beyond chance and are ever active; without a side that has none."""
    told, contrast = found.told, found.sources.contrast
    if told is None or contrast is None:
        return []
    writes = (found.directions.abs().amax(dim=-1) > 0).numpy()
    sure = (np.nan_to_num(told.p, nan=1.0) < _ALPHA) & (found.maxima > 0) & writes
    groups = []
    for side, label, sign in (("positive", contrast.positive_label, 1), ("negative", contrast.negative_label, -1)):
        statistic = np.where(sure, sign * np.nan_to_num(told.statistic), 0.0)
        best = np.argsort(-statistic, kind="stable")[:GROUP]
        features = tuple(int(each) for each in best if statistic[each] > 0)
        if features:
            groups.append(Group(side, label, features))  # type: ignore[arg-type]
    return groups


def replies_or_why(host: Host, found: Found, settings: FeaturesSettings) -> tuple[pd.DataFrame, str]:
    """As `reply_table`; an empty table and the reason where features of the dictionary cannot be changed."""
    why = found.dictionary.why_not_edited
    return (
        (pd.DataFrame(columns=COLUMNS), f"No replies with features changed: {why}")
        if why
        else reply_table(host, found, settings)
    )


def reply_table(host: Host, found: Found, settings: FeaturesSettings) -> tuple[pd.DataFrame, str]:
    """Replies to a few prompts as they are and with each group of features changed, and what was done in words.

    Switched off, features lose what they add; turned up, each adds `replies_up` typical maxima; both at every token of
    prompt and reply.

    Args:
        host: The model.
        found: What tells the sides of a contrast set apart.
        settings: How many prompts, how far up, how many tokens.

    Returns:
        One row a reply, an unchanged one first of each prompt; empty where no feature tells the sides apart.
    """
    contrast, groups = found.sources.contrast, groups_of(found)
    if contrast is None or not groups:
        return pd.DataFrame(columns=COLUMNS), "No replies with features changed: none tells two sides apart."
    asked = [*_everyday(host, found, groups, settings), *_own(host, found, groups, settings)]
    asked = [each for each in asked if len(each.prompt) + settings.replies_tokens <= host.info.context]
    rows = [Row(each.prompt, each.plan) for each in asked]
    replies = generate(host, rows, DecodeSettings(max_new_tokens=settings.replies_tokens)) if rows else ()
    said = [_row(contrast.name, each, reply.text) for each, reply in zip(asked, replies, strict=True)]
    return pd.DataFrame(said, columns=COLUMNS), _says(contrast.name, groups, settings)


def _everyday(host: Host, found: Found, groups: Sequence[Group], settings: FeaturesSettings) -> Iterator[_Asked]:
    """Each group turned up on the everyday requests that are most like the set's texts."""
    ups = [(group, up_plan(found.dictionary, _added(found, group, settings.replies_up))) for group in groups]
    for text, prompt in _alike(host, found, settings):
        yield _Asked(EVERYDAY, text, prompt, None, "none", ())
        for group, plan in ups:
            yield _Asked(EVERYDAY, text, prompt, group, "up", plan)


def _own(host: Host, found: Found, groups: Sequence[Group], settings: FeaturesSettings) -> Iterator[_Asked]:
    """Each group switched off on texts of its own side that had no part in its choice, where there are any."""
    for group in groups:
        held_out = found.sources.of(group.side, ("test", "validation"))
        plan = off_plan(found.dictionary, group.features)
        for index in (held_out or found.sources.of(group.side, ("train",)))[: settings.replies]:
            source = _up_to_the_question(found.sources.texts[index])
            text, prompt = source.messages[-1].content, source.rendered(host, settings.kind)
            yield _Asked(group.label, text, prompt, None, "none", ())
            yield _Asked(group.label, text, prompt, group, "off", plan)


def _alike(host: Host, found: Found, settings: FeaturesSettings) -> list[tuple[str, Prompt]]:
    """The everyday requests whose features are most like the mean of the set's texts, by cosine."""
    texts = calibration_prompts()
    prompts = [Source(conversation(text)).rendered(host, settings.kind) for text in texts]
    reading = read_features(host, prompts, found.dictionary, first=settings.first_token)
    own = pooled(reading, settings.pool)
    sided = [index for index, each in enumerate(found.sources.texts) if each.side]
    mean = np.asarray(pooled(found.reading, settings.pool)[sided].mean(axis=0)).ravel()
    lengths = np.sqrt(np.asarray(own.multiply(own).sum(axis=1)).ravel())
    cosines = np.asarray(own @ mean).ravel() / np.maximum(lengths, 1e-12)
    return [(texts[index], prompts[index]) for index in np.argsort(-cosines, kind="stable")[: settings.replies]]


def _added(found: Found, group: Group, times: float) -> Tensor:
    """What turning a group up adds to every token, (width,)."""
    rows = found.dictionary.decoder(group.features).cpu()
    return (times * torch.from_numpy(found.maxima[list(group.features)]).float()) @ rows


def _up_to_the_question(source: Source) -> Source:
    """A text up to its last message of the user, which is answered anew."""
    users = [n for n, turn in enumerate(source.messages) if turn.role == "user"]
    return source if not users else Source(source.messages[: users[-1] + 1], source.side, source.split)


def _row(name: str, asked: _Asked, reply: str) -> dict[str, Any]:
    group = asked.group
    features = ", ".join(map(str, group.features)) if group else ""
    said = (name, asked.prompts, asked.text, group.label if group else "", features, asked.done, reply)
    return dict(zip(COLUMNS, said, strict=True))


def _says(name: str, groups: Sequence[Group], settings: FeaturesSettings) -> str:
    named = "; ".join(
        f"{counted(len(each.features), 'feature')} of {each.label} texts ({compact(each.features)})" for each in groups
    )
    return (
        f"Replies, {name}: {named}: those of either side that differ most, p < {_ALPHA:g}. Turned up by "
        f"{plain_number(settings.replies_up)} × typical maximum each on the everyday requests that are most like the "
        "set's texts, and switched off on held-out texts of their own side. These are examples; the study of cause "
        "measures shares on many prompts, beside random features."
    )


def works_of(settings: FeaturesSettings) -> list[Work]:
    """What `reply_table` takes, at most."""
    texts = calibration_prompts()
    replies = settings.replies * (3 + 2 * 2)  # an everyday request without and with two groups; a text of either side
    return [
        Work("readings", len(texts), tokens_of(texts)),
        Work("replies", replies, settings.replies_tokens, batch=32),
    ]
