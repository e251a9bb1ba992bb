"""What is compared: the model as it is, what a mean difference and random directions do at the same cost, each trained
vector, and one that was trained on shuffled labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Literal

from steering.lane import Job
from steering.model.host import Host
from steering.recipes.nats import BeyondReachError
from steering.recipes.writes import writes_of
from steering.store import Kept
from steering.studies.training.settings import TrainSettings
from steering.texts.preferences import Labelled, Preference
from steering.training.course import find_loss
from steering.training.followers import OnLook
from steering.training.readings import Readings
from steering.training.trained import Point, Trained
from steering.training.trainee import Trainee
from steering.training.training import train
from steering.writes.interventions import Plan


Kind = Literal["none", "mean_difference", "random", "trained", "shuffled"]
Data = Sequence[Preference | Labelled]


@dataclass(frozen=True)
class Stepped:
    """A step of a training, for whoever follows it live."""

    key: str
    """Of the row that it belongs to."""
    title: str
    steps: int
    point: Point


@dataclass(frozen=True, eq=False)
class Row:
    """One way to the behaviour."""

    key: str
    title: str
    kind: Kind
    trained: Trained | None
    """None of the model as it is."""

    def plan(self, host: Host) -> Plan:
        """What is written."""
        if self.trained is None:
            return ()
        return tuple(writes_of(self.trained.intervention, host, self.trained.vectors))


class Rows:
    """Makes all rows, on data that is split already. Call on the model thread."""

    def __init__(
        self,
        host: Host,
        settings: TrainSettings,
        data: Data,
        validation: Data,
        *,
        name: str,
        kept: Kept,
        readings: Readings,
        job: Job[Any],
        on_look: OnLook | None = None,
    ) -> None:
        """
        Args:
            host: The model.
            settings: Of the study.
            data: To train on.
            validation: To watch on; perhaps nothing.
            name: Of the data.
            kept: Finished parts.
            readings: What is read of texts.
            job: Told of every step.
            on_look: Marks what a vector on its way does.
        """
        self._host, self._settings, self._job = host, settings, job
        self._data, self._validation, self._name, self._kept = data, validation, name, kept
        self._readings = readings
        self._trainee = settings.trainee_on(host)
        self._on_look = on_look
        self.stopped: Row | None = None
        """What a training came to that somebody stopped."""
        self.left_out: list[str] = []
        """What no strength brings to the budget, in sentences."""

    def make(self) -> Iterator[Row]:
        """All of them; what was trained is given as soon as it is. A way that no strength brings to the budget is left
        out, and `left_out` says so.

        Raises:
            SteeringError: No loss has a vector that costs as much.
        """
        yield Row("none", "unsteered", "none", None)
        beyond, trained = None, False
        for title, way in self._ways():
            try:
                row = way()
            except BeyondReachError as error:
                self.left_out.append(error.left_out(f"{title}, which costs at most {error.most:.2g} nats"))
                beyond = error
                continue
            trained = trained or row.kind == "trained"
            yield row
        if beyond is not None and not trained:
            raise beyond

    def _ways(self) -> Iterator[tuple[str, Callable[[], Row]]]:
        """Titles, and what makes their rows."""
        settings = self._settings
        plain = replace(self._trainee, mode="add") if settings.mode == "gated_add" else self._trainee
        if _two_sided(self._data):
            begun = partial(self._begun, "mean_difference", "mean difference", "mean_difference")
            yield "mean difference", partial(begun, plain, settings.seed)
        for number in range(settings.random):
            title = f"random direction {number + 1}"
            yield title, partial(self._begun, f"random {number + 1}", title, "random", plain, settings.seed + number)
        for loss in settings.losses:
            yield find_loss(loss).title, partial(self._trained, loss)
        if settings.control:
            yield shuffled_title(settings.control), partial(self._shuffled, settings.control)

    def _begun(self, key: str, title: str, kind: Kind, trainee: Trainee, seed: int) -> Row:
        """A direction that nothing was learnt for, at the budget."""
        start = "random" if kind == "random" else "mean_difference"
        found = self._train("sft", self._data, (), trainee, key, steps=0, start=start, seed=seed)
        return Row(key, title, kind, found)

    def _trained(self, loss: str) -> Row:
        found = self._train(loss, self._data, self._validation, self._trainee, loss)
        return Row(loss, find_loss(loss).title, "trained", found)

    def _shuffled(self, loss: str) -> Row:
        """The same training where chosen and rejected, the labels or the rewards are exchanged at random."""
        key, rng = f"{loss} shuffled", Random(f"shuffled {self._settings.seed}")
        if find_loss(loss).sampled:  # examples to watch it on have their own rewards, by which none is to be chosen
            sampling = replace(self._settings.sampling, shuffled=True)
            found = self._train(loss, self._data, (), self._trainee, key, sampling=sampling)
        else:
            data, validation = (_shuffled(part, rng) for part in (self._data, self._validation))
            found = self._train(loss, data, validation, self._trainee, key)
        return Row(key, shuffled_title(loss), "shuffled", found)

    def _train(self, loss: str, data: Data, validation: Data, trainee: Trainee, key: str, **other: Any) -> Trained:
        settings, called = self._settings, key.replace("_", " ")
        steps = other.pop("steps", settings.steps)
        title = called if not steps else find_loss(loss).title if key == loss else shuffled_title(loss)
        return train(
            self._host,
            data,
            trainee,
            loss=loss,
            numbers=settings.numbers_of(loss),
            budget=settings.budget,
            batch=settings.batch,
            learning_rate=settings.rate,
            validation=validation,
            patience=settings.patience,
            on_step=partial(self._tell, key, title, steps),
            on_look=self._on_look if steps else None,
            on_stop=partial(self._stop, key, loss),
            resume=self._kept,
            readings=self._readings,
            name=f"{settings.name or self._name} {called}",
            title=title,
            data_name=self._name,
            **{
                "steps": steps,
                "start": settings.start,
                "seed": settings.seed,
                "sampling": settings.sampling,
                **other,
            },
        )

    def _stop(self, key: str, loss: str, found: Trained) -> None:
        if key == loss:  # a control that is half made says nothing
            self.stopped = Row(key, find_loss(loss).title, "trained", found)

    def _tell(self, key: str, title: str, steps: int, point: Point) -> None:
        self._job.emit(Stepped(key, title, steps, point))


def shuffled_title(loss: str) -> str:
    """What the control of a loss is called."""
    found = find_loss(loss)
    return f"{found.title}, shuffled {'reward' if found.sampled else 'labels'}"


def _two_sided(data: Data) -> bool:
    return {item.wanted for item in data if isinstance(item, Labelled)} != {True}


def _shuffled(data: Data, rng: Random) -> Data:
    """Labels in another order; half of the pairs with their sides exchanged, no more and no less: at a budget even a
    slight majority would give a vector of full length.
    """
    labels = [item.wanted for item in data if isinstance(item, Labelled)]
    rng.shuffle(labels)
    exchanged = set(rng.sample(range(len(data)), len(data) // 2))
    return [_exchanged(item, labels, index in exchanged) for index, item in enumerate(data)]


def _exchanged(item: Preference | Labelled, labels: list[bool], exchanged: bool) -> Preference | Labelled:
    if isinstance(item, Labelled):
        return replace(item, wanted=labels.pop())
    return replace(item, chosen=item.rejected, rejected=item.chosen) if exchanged else item
