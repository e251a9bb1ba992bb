"""What each pair does to a trained vector: foretold by gradients along the training, and by training without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.training.batches import Objective
from steering.training.beginnings import beginning
from steering.training.course import RATE, check_together, find_loss
from steering.training.course import Course as Asked
from steering.training.leaving_out import FEWEST, Influences
from steering.training.order import share_of_rate
from steering.training.scores import KnownTexts
from steering.training.texts import Given, check, texts_of
from steering.training.trainee import Parameters, Trainee


POINTS = 5
"""Of a training at which the gradient of every pair is looked at."""
_BETAS, _EPS = (0.9, 0.999), 1e-8
"""Of AdamW, as `train` has them."""
_LEAST = 1e-30


@dataclass(frozen=True)
class Training:
    """How the vector is trained. Every step sees all pairs: else the order of the others hides what leaving one out
    does.
    """

    trainee: Trainee
    loss: str = "dpo"
    """A key of `LOSSES` that takes pairs."""
    numbers: Mapping[str, float] | None = None
    """The loss's own; its defaults for those that are not given."""
    steps: int = 60
    learning_rate: float = RATE
    """Peak rate, see `steering.training.course.Course`."""


@dataclass(frozen=True, eq=False)
class Course:
    """The way that a training went."""

    gradients: Tensor
    """Of the mean loss at every step, float64, (step, numbers)."""
    points: Mapping[int, dict[str, Any]]
    """The numbers before some of its steps, by step."""


class Weighing:
    """Pairs that are trained on, all or without some, and others on which the loss is measured. Everything happens on
    the model thread; texts are read once for all trainings.
    """

    def __init__(
        self, host: Host, job: Job[Any], data: Sequence[Given], held_out: Sequence[Given], how: Training
    ) -> None:
        """Read all texts without a plan.

        Args:
            host: The model.
            job: Told how far it is.
            data: Pairs to train on.
            held_out: Pairs on which the loss is measured.
            how: How it is trained.

        Raises:
            SteeringError: As `steering.training.training.train`; a loss that takes no pairs, a direction that is not
                added, or too few pairs.
        """
        loss = find_loss(how.loss)
        check_together(loss, how.trainee.check(host))
        Asked(steps=how.steps, learning_rate=how.learning_rate).check()
        if loss.kind != "pairs" or loss.shift or how.trainee.mode != "add":
            raise SteeringError(
                f"What pairs do to {loss.title} with {how.trainee.mode} was asked for.",
                "a loss that takes pairs one by one, and a direction that is added.",
                "Take dpo, ipo or another loss for pairs.",
            )
        if len(data) < FEWEST:
            raise SteeringError(
                f"{len(data)} pairs were given.", f"at least {FEWEST}, of which one is left out.", "Take more pairs."
            )
        self.n, self._how = len(data), how
        numbers = loss.settings(how.numbers or {})
        for part in (data, held_out):
            check(part, "pairs")
        texts = [texts_of(host, part, "pairs") for part in (data, held_out)]
        known = [KnownTexts(host, each.replied, how.trainee.places) for each in texts]
        for each in known:
            each.read(job)
        self._known, self._texts = known[0], texts[0]
        begun = beginning(self._known, self._texts, how.trainee, "mean_difference", 0)
        self.parameters = Parameters(how.trainee, begun.rows, begun.scale, begun.low, host.device)
        self._begun, self._scale = self.parameters.state(), begun.scale
        self._own, self._held_out = (
            Objective(read, each.examples, self.parameters, loss, numbers)
            for read, each in zip(known, texts, strict=True)
        )
        self._all_held_out = range(len(held_out))

    def train(self, job: Job[Any], pairs: Sequence[int], points: int = 0, *, own: bool = False) -> Course:
        """Train on some pairs, as `steering.training.training.train` does it; `parameters` is then the end.

        Args:
            job: Looked at for a stop.
            pairs: Which.
            points: How many of its steps are remembered.
            own: Whether it begins at the mean difference of these pairs, and not of all.
        """
        how, parameters = self._how, self.parameters
        parameters.restore(self._begun_of(pairs) if own else self._begun)
        optimiser = torch.optim.AdamW(parameters.live, betas=_BETAS, eps=_EPS, weight_decay=0.0)
        kept, gradients, states = set(spread_out(how.steps, points)), list[Tensor](), dict[int, dict[str, Any]]()
        for step in range(how.steps):
            job.check()
            if step in kept:
                states[step] = parameters.state()
            (slope,) = self._own.measured(pairs, progress=step / how.steps, gradient=True).gradient
            gradients.append(slope.flatten().double().cpu())
            for group in optimiser.param_groups:
                group["lr"] = how.learning_rate * share_of_rate(step, how.steps)
            parameters.rows.grad = slope
            optimiser.step()
        return Course(torch.stack(gradients), states)

    def _begun_of(self, pairs: Sequence[int]) -> dict[str, Any]:
        """The numbers at the mean difference of some pairs."""
        texts = replace(self._texts, examples=tuple(self._texts.examples[pair] for pair in pairs))
        begun = beginning(self._known, texts, self._how.trainee, "mean_difference", 0)
        return Parameters(self._how.trainee, begun.rows, self._scale, begun.low, begun.rows.device).state()

    def held_out_loss(self) -> float:
        """On the other pairs, where the numbers stand, nats."""
        return self._held_out.measured(self._all_held_out).loss

    def foretold(self, job: Job[Any], course: Course) -> Tensor:
        """By how much the held-out loss would be higher without each pair, where the numbers are at the end of the
        training that went this way on all pairs, nats, float64, (pair,).
        """
        end = self.parameters.state()
        slope = self._held_out.measured(self._all_held_out, gradient=True).gradient[0].flatten().double().cpu()
        slopes = []
        for done, state in enumerate(course.points.values()):
            self.parameters.restore(state)
            slopes.append(self._slopes(job, done, len(course.points)))
        self.parameters.restore(end)
        steps = list(course.points)
        rates = [self._how.learning_rate * share_of_rate(step, self._how.steps) for step in range(self._how.steps)]

        def change(step: int) -> Tensor:
            each = _between(steps, slopes, step)
            return (each.mean(dim=0) - each) / (self.n - 1)

        return followed(course.gradients, rates, change) @ slope

    def _slopes(self, job: Job[Any], point: int, points: int) -> Tensor:
        """The gradient of each pair's loss where the numbers stand, float64, (pair, numbers)."""
        found = []
        for pair in range(self.n):
            job.report(point * self.n + pair, points * self.n, "gradients of pairs")
            found.append(self._own.measured([pair], gradient=True).gradient[0].flatten().double().cpu())
        return torch.stack(found)


def followed(gradients: Tensor, rates: Sequence[float], change: Callable[[int], Tensor]) -> Tensor:
    """Where a training by AdamW ends if its gradients change a little: the derivative of its steps, followed through.

    A step is -η m̂ / (√v̂ + ε) with m and v the running means of gradient and square (Kingma and Ba 2015, arXiv
    1412.6980, algorithm 1), so that small changes move it by -η [δm̂ / (√v̂ + ε) - m̂ δv̂ / (2 √v̂ (√v̂ + ε)²)]. The second
    part is why early steps hardly change: they go by the sign of the gradient.

    Args:
        gradients: Of every step, float64, (step, numbers).
        rates: Of every step.
        change: By how much the gradient of a step changes, (row, numbers), of several changes, a row each.

    Returns:
        By how much the end moves, float64, (row, numbers).
    """
    first, second = _BETAS
    mean = square = torch.zeros(gradients.shape[1], dtype=gradients.dtype)
    moved = mean_change = square_change = torch.zeros(1, gradients.shape[1], dtype=gradients.dtype)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True)):
        changed = change(step)
        mean, square = first * mean + (1 - first) * gradient, second * square + (1 - second) * gradient**2
        mean_change = first * mean_change + (1 - first) * changed
        square_change = second * square_change + (1 - second) * 2 * gradient * changed
        corrected, root = 1 - first ** (step + 1), (square / (1 - second ** (step + 1))).clamp_min(_LEAST).sqrt()
        direct = mean_change / corrected / (root + _EPS)
        scaled = mean / corrected * square_change / (1 - second ** (step + 1)) / (2 * root * (root + _EPS) ** 2)
        moved = moved - rate * (direct - scaled)
    return moved


def spread_out(steps: int, points: int) -> list[int]:
    """Steps from the first to the last, evenly spread."""
    if points < 2:
        return [0][:points]
    return sorted({round(place * (steps - 1) / (points - 1)) for place in range(points)})


def _between(steps: Sequence[int], values: Sequence[Tensor], step: int) -> Tensor:
    """A value at a step, in a straight line between those that are known."""
    after = next((place for place, known in enumerate(steps) if known >= step), len(steps) - 1)
    if after == 0 or steps[after] <= step:
        return values[after]
    share = (step - steps[after - 1]) / (steps[after] - steps[after - 1])
    return values[after - 1] * (1 - share) + values[after] * share


def foretell(
    host: Host, data: Sequence[Given], held_out: Sequence[Given], how: Training, *, points: int = POINTS
) -> Influences:
    """Train on all pairs, and foretell what leaving each out would do to the held-out loss.

    Without pair i the mean gradient of a step is (n ḡ - g_i) / (n - 1). What that small change does to every step of
    AdamW is followed to the end (`followed`), and from there along the gradient of the held-out loss: gradients along
    the training, as in TracIn (Pruthi et al. 2020, arXiv 2002.08484), with the optimiser's own derivative. Gradients of
    pairs are looked at at some points, and in straight lines between them; what a moved vector does to later gradients
    is left out.

    Args:
        host: The model.
        data: Pairs to train on.
        held_out: Pairs on which it is measured, by the same loss.
        how: How it is trained.
        points: Of the training at which gradients are looked at.

    Returns:
        Influences on minus the held-out loss, nats.

    Raises:
        SteeringError: As `Weighing`.
    """

    def work(job: Job[Influences]) -> Influences:
        weighing = Weighing(host, job, data, held_out, how)
        course = weighing.train(job, range(weighing.n), points)
        return Influences(weighing.foretold(job, course), -weighing.held_out_loss())

    return host.run(work, title="Weighing pairs")


def train_without(
    host: Host, data: Sequence[Given], held_out: Sequence[Given], how: Training, which: Sequence[int]
) -> Tensor:
    """By how much the held-out loss is higher after a training without each of some pairs: what `foretell` foretells.

    Args:
        host: The model.
        data: All pairs.
        held_out: As for `foretell`.
        how: As for `foretell`.
        which: Indices of the pairs that are left out, one a training.

    Returns:
        nats, float64, (training,).

    Raises:
        SteeringError: As `Weighing`.
    """

    def work(job: Job[Tensor]) -> Tensor:
        weighing = Weighing(host, job, data, held_out, how)
        found = []
        for done, left_out in enumerate((None, *which)):
            job.report(done, len(which) + 1, "trainings without a pair")
            weighing.train(job, [each for each in range(weighing.n) if each != left_out])
            found.append(weighing.held_out_loss())
        return torch.tensor(found[1:], dtype=torch.float64) - found[0]

    return host.run(work, title="Training without pairs")
