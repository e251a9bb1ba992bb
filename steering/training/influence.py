"""What each pair does to a trained vector: foretold by gradients through the training, and by training without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.training.batches import Objective
from steering.training.beginnings import beginning
from steering.training.course import BETAS, EPS, RATE, check_together, find_loss
from steering.training.course import Course as Asked
from steering.training.leaving_out import FEWEST, Influences
from steering.training.looks import Looks, spread_out
from steering.training.order import share_of_rate
from steering.training.scores import KnownTexts
from steering.training.sensitivity import gone_back
from steering.training.texts import Given, check, texts_of
from steering.training.trainee import Parameters, Trainee


POINTS = 3
"""Of a training at which the gradient of every pair is looked at."""
_REACH = 1e-2
"""Of the vector's length: how far it is moved for a difference of gradients."""


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

    def rate(self, step: int) -> float:
        """Of a step."""
        return self.learning_rate * share_of_rate(step, self.steps)


@dataclass(frozen=True, eq=False)
class Course:
    """The way that a training went."""

    gradients: Tensor
    """Of the mean loss at every step, float64, (step, numbers)."""
    states: Sequence[dict[str, Any]]
    """The numbers before every step."""


@dataclass(frozen=True, eq=False)
class Foretold:
    """What each pair does to minus the held-out loss, nats."""

    left_out: Influences
    """With all pairs less without this one: what training again without it would show."""
    traced: Influences
    """What plain steps along the pair's own gradient would do; see `Looks.traced`."""


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
        self._scale = begun.scale
        self._own, self._held_out = (
            Objective(read, each.examples, self.parameters, loss, numbers)
            for read, each in zip(known, texts, strict=True)
        )
        self._all_held_out = range(len(held_out))

    def train(self, job: Job[Any], pairs: Sequence[int]) -> Course:
        """Train on some pairs, as `steering.training.training.train` does it; `parameters` is then the end.

        Args:
            job: Looked at for a stop.
            pairs: Which; it begins at the mean difference of these.
        """
        how, parameters = self._how, self.parameters
        parameters.restore(self._begun(pairs))
        optimiser = torch.optim.AdamW(parameters.live, betas=BETAS, eps=EPS, weight_decay=0.0)
        gradients, states = list[Tensor](), list[dict[str, Any]]()
        for step in range(how.steps):
            job.check()
            states.append(parameters.state())
            (slope,) = self._own.measured(pairs, progress=step / how.steps, gradient=True).gradient
            gradients.append(_flat(slope))
            for group in optimiser.param_groups:
                group["lr"] = how.rate(step)
            parameters.rows.grad = slope
            optimiser.step()
        return Course(torch.stack(gradients), states)

    def _begun(self, pairs: Sequence[int]) -> dict[str, Any]:
        """The numbers at the mean difference of some pairs."""
        texts = replace(self._texts, examples=tuple(self._texts.examples[pair] for pair in pairs))
        begun = beginning(self._known, texts, self._how.trainee, "mean_difference", 0)
        return Parameters(self._how.trainee, begun.rows, self._scale, begun.low, begun.rows.device).state()

    def held_out_loss(self) -> float:
        """On the other pairs, where the numbers stand, nats."""
        return self._held_out.measured(self._all_held_out).loss

    def foretold(self, job: Job[Any], course: Course, points: int) -> Foretold:
        """What was learnt of each pair, where the numbers are at the end of the training that went this way on all.

        Args:
            job: Told how far it is.
            course: The training.
            points: How many of its steps are looked at.
        """
        end, every, loss = self.parameters.state(), range(self.n), self.held_out_loss()
        rates = [self._how.rate(step) for step in range(self._how.steps)]

        def bent(step: int, direction: Tensor) -> Tensor:
            job.report(self._how.steps - step, self._how.steps, "steps gone back")
            return self._bent(course, step, direction)

        back = gone_back(course.gradients, rates, self._held_out_slope(), bent)
        looks = self._looked(job, course, spread_out(self._how.steps, points))
        self.parameters.restore(end)
        found = torch.stack([_flat(self._begun([other for other in every if other != pair])["rows"]) for pair in every])
        found = (found - _flat(course.states[0]["rows"])) @ back.start
        for step in range(self._how.steps):
            found += looks.change(step) @ back.gradients[step]
        return Foretold(Influences(found, -loss), Influences(looks.traced(rates), -loss))

    def _held_out_slope(self) -> Tensor:
        return _flat(self._held_out.measured(self._all_held_out, gradient=True).gradient[0])

    def _looked(self, job: Job[Any], course: Course, steps: Sequence[int]) -> Looks:
        pairs, held_out = list[Tensor](), list[Tensor]()
        for done, step in enumerate(steps):
            self.parameters.restore(course.states[step])
            held_out.append(self._held_out_slope())
            pairs.append(self._slopes(job, done, len(steps)))
        return Looks(steps, pairs, held_out)

    def _bent(self, course: Course, step: int, direction: Tensor) -> Tensor:
        """The second derivative of the mean loss at a step, along a direction, by a difference of gradients."""
        at, length = course.states[step], float(direction.norm())
        if not length:
            return direction
        reach = _REACH * float(at["rows"].norm()) / length
        moved = at["rows"] + (reach * direction).reshape(at["rows"].shape).to(at["rows"].dtype)
        self.parameters.restore({**at, "rows": moved})
        found = self._own.measured(range(self.n), progress=step / self._how.steps, gradient=True)
        return (_flat(found.gradient[0]) - course.gradients[step]) / reach

    def _slopes(self, job: Job[Any], point: int, points: int) -> Tensor:
        """The gradient of each pair's loss where the numbers stand, float64, (pair, numbers)."""
        found = []
        for pair in range(self.n):
            job.report(point * self.n + pair, points * self.n, "gradients of pairs")
            found.append(_flat(self._own.measured([pair], gradient=True).gradient[0]))
        return torch.stack(found)


def _flat(numbers: Tensor) -> Tensor:
    return numbers.flatten().cpu().double()  # float64 is not on every device


def foretell(
    host: Host, data: Sequence[Given], held_out: Sequence[Given], how: Training, *, points: int = POINTS
) -> Foretold:
    """Train on all pairs, and tell from gradients what each does to the held-out loss.

    Without pair i the training begins at the mean difference of the others, and the mean gradient of a step is
    (n ḡ - g_i) / (n - 1). How the held-out loss at the end hangs on both is known from going back through all steps
    (`gone_back`), after Hara, Nitanda and Maehara 2019 (arXiv 1906.08473), who do so for SGD. Gradients of pairs are
    looked at at some points, and in straight lines between them.

    A pair whose sides are swapped need not harm by that number: AdamW's steps have the size of the rate whatever the
    gradient's, so that one gradient in fifty changes them little where all others agree, and much by chance elsewhere.
    Where it is to be found, `traced` asks what the pair itself pulls at, and nothing of the optimiser.

    Args:
        host: The model.
        data: Pairs to train on.
        held_out: Pairs on which it is measured, by the same loss.
        how: How it is trained.
        points: Of the training at which gradients are looked at.

    Raises:
        SteeringError: As `Weighing`.
    """

    def work(job: Job[Foretold]) -> Foretold:
        weighing = Weighing(host, job, data, held_out, how)
        return weighing.foretold(job, weighing.train(job, range(weighing.n)), points)

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
