"""The optimisation loop that every member of the demo family is trained with; it can stop and go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steering.demo.muon import Muon


Progress = Callable[[float, str], None]
"""Called with the share of the work done, from 0 to 1, and one line on where it stands."""

Part = Callable[[], Tensor]
"""Computes one part of a step's loss, a scalar that depends on the weights."""

_CHECKPOINTS = 20
"""How often a run is saved on its way."""
_POINTS = 40
"""Points of the loss curve."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """How long and how fast to train."""

    steps: int
    """Optimiser steps."""
    learning_rate: float
    """Peak rate of AdamW, after `warm_up` of the steps; from there a cosine down to a fiftieth."""
    matrix_rate: float = 0.0
    """Peak rate of Muon for the matrices inside the blocks; 0 leaves them to AdamW."""
    weight_decay: float = 0.0
    """Decoupled decay of matrices."""
    warm_up: float = 0.04
    """Share of the steps in which the rate rises."""


def optimise(
    weights: Mapping[str, Tensor],
    parts: Callable[[int], Sequence[Part]],
    *,
    course: Course,
    checkpoint: Path,
    fingerprint: Mapping[str, Any],
    progress: Progress,
) -> list[list[float]]:
    """Train `weights` in place; returns the loss curve as [step, mean loss since the last point].

    Args:
        weights: Leaf tensors by name. Those in blocks with two dimensions are the matrices that Muon trains, if any.
        parts: Given the step, the parts whose sum is that step's loss. They must depend on the step and the weights
            alone, so that an interrupted run goes on exactly as it would have.
        course: Length and rates.
        checkpoint: File that holds the run on its way; removed at the end.
        fingerprint: What the run depends on. A checkpoint of another one, or one that cannot be read, is ignored.
        progress: Told where the run stands.
    """
    optimisers = _optimisers(weights, course)
    schedulers = [torch.optim.lr_scheduler.LambdaLR(each, partial(_rate, course=course)) for each in optimisers]
    stateful: list[Any] = [*optimisers, *schedulers]
    curve, recent, start = _resume(checkpoint, dict(fingerprint), weights, stateful)
    every, saving = max(1, course.steps // _POINTS), max(1, course.steps // _CHECKPOINTS)
    with _workers(weights) as pool:
        for step in range(start, course.steps):
            recent.append(_backward(parts(step), list(weights.values()), pool))
            torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
            for each in stateful:
                each.step()
            if (step + 1) % every == 0:
                loss, recent = sum(recent) / len(recent), []
                curve.append([step + 1, round(loss, 4)])
                progress((step + 1) / course.steps, f"Step {step + 1} of {course.steps}, loss {loss:.3f}.")
            if (step + 1) % saving == 0:
                _save(checkpoint, dict(fingerprint), step + 1, (curve, recent), weights, stateful)
    checkpoint.unlink(missing_ok=True)
    return curve


@contextmanager
def _workers(weights: Mapping[str, Tensor]) -> Iterator[ThreadPoolExecutor]:
    """Threads that take a step's parts, one part a thread and core.

    Torch's own threads share every single operation and wait for each other in a busy loop, which is many times slower
    as soon as another program wants a core. One thread a part is not, and gives the same sums on any number of cores.
    """
    on_cpu = all(weight.device.type == "cpu" for weight in weights.values())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if on_cpu else before)
        with ThreadPoolExecutor(
            (os.cpu_count() or 1) if on_cpu else 1, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _backward(parts: Sequence[Part], weights: list[Tensor], pool: ThreadPoolExecutor) -> float:
    """Set the weights' gradients to those of the parts' sum, summed in the parts' order; returns the sum."""

    def work(part: Part) -> tuple[float, Sequence[Tensor | None]]:
        loss = part()
        return float(loss.detach()), torch.autograd.grad(loss, weights, allow_unused=True)

    total = 0.0
    for weight in weights:
        weight.grad = None
    for loss, gradients in pool.map(work, parts):
        total += loss
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                weight.grad = gradient if weight.grad is None else weight.grad + gradient
    return total


def _optimisers(weights: Mapping[str, Tensor], course: Course) -> list[torch.optim.Optimizer]:
    for weight in weights.values():
        weight.requires_grad_(True)
    inner = [weight for name, weight in weights.items() if course.matrix_rate and weight.ndim == 2 and "layers" in name]
    rest = [weight for weight in weights.values() if not any(weight is other for other in inner)]
    groups = [
        {"params": [weight for weight in rest if weight.ndim > 1], "weight_decay": course.weight_decay},
        {"params": [weight for weight in rest if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=course.learning_rate, betas=(0.9, 0.98), fused=True)
    if not inner:
        return [adam]
    return [adam, Muon(inner, rate=course.matrix_rate, weight_decay=course.weight_decay)]


def _rate(step: int, course: Course) -> float:
    warm = max(1, round(course.steps * course.warm_up))
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + cos(pi * (step - warm) / max(1, course.steps - warm)))


def _save(
    checkpoint: Path,
    fingerprint: dict[str, Any],
    step: int,
    losses: tuple[list[list[float]], list[float]],
    weights: Mapping[str, Tensor],
    stateful: list[Any],
) -> None:
    content = {
        "fingerprint": fingerprint,
        "step": step,
        "curve": losses[0],
        "recent": losses[1],
        "weights": {name: weight.detach().cpu() for name, weight in weights.items()},
        "states": [each.state_dict() for each in stateful],
    }
    # Written beside and renamed: a run that is killed while it saves leaves the checkpoint before.
    beside = checkpoint.with_suffix(".writing")
    torch.save(content, beside)
    os.replace(beside, checkpoint)


def _resume(
    checkpoint: Path, fingerprint: dict[str, Any], weights: Mapping[str, Tensor], stateful: list[Any]
) -> tuple[list[list[float]], list[float], int]:
    """The loss curve, the losses since its last point, and the step to go on from; weights and optimisers are set."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception:
        return [], [], 0
    if content.get("fingerprint") != fingerprint:
        return [], [], 0
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(content["weights"][name])
    for each, state in zip(stateful, content["states"], strict=True):
        each.load_state_dict(state)
    return content["curve"], content["recent"], content["step"]
