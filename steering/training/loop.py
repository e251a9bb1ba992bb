"""The loop of a training: steps of AdamW, looks at validation data and at the budget, checkpoints, and the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from steering.job import Stopped, whole
from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.pace import note_example
from steering.recipes.recipe import Intervention
from steering.recipes.writes import Vectors
from steering.store import digest
from steering.training.asked import Asked
from steering.training.batches import Measured, Objective
from steering.training.beginnings import Beginning, beginning
from steering.training.budget import EVERY, Budget
from steering.training.checkpoints import SECONDS, Place, clear_checkpoint, read_checkpoint, save_checkpoint
from steering.training.course import BETAS, EPS
from steering.training.followers import SELDOM, Followers
from steering.training.matching import matching_weights
from steering.training.order import share_of_rate, shuffled
from steering.training.readings import Readings
from steering.training.sampled import Sampled
from steering.training.scores import KnownTexts
from steering.training.texts import Texts
from steering.training.trained import Point, Trained, intervention_of, provenance_of, vectors_of
from steering.training.trainee import Parameters
from steering.vectors.vector import TRAINED


LOOKS = 20
"""At the validation data, in a whole training."""
_WHOLE = "All steps are done."
_UNKNOWN = float("nan")
_GATED = 64
"""Texts on which a gate is read."""


class Loop:
    """One training. Everything happens on the model thread."""

    def __init__(
        self, host: Host, texts: Texts, held_out: Texts, asked: Asked, readings: Readings | None = None
    ) -> None:
        """Nothing is read yet.

        Args:
            host: The model.
            texts: What is trained on.
            held_out: What the training is watched on; perhaps nothing.
            asked: How.
            readings: What was read before.
        """
        self._host, self._asked = host, asked
        self._texts, self._held_out = texts, held_out
        self._readings = Readings() if readings is None else readings
        self._curve: list[Point] = []
        self._done, self._stopped = 0, ""
        self._least, self._best_step, self._looks = math.inf, 0, 0

    def run(self, job: Job[Any], *, told: Followers, checkpoint: Place, name: str, data_name: str) -> Trained:
        """Train to the end, from a checkpoint on where there is one of the same training.

        Raises:
            Stopped: Somebody stopped the job; the checkpoint is written.
        """
        self._read(job)
        key = digest("training", fingerprint(self._host), self._asked.plain)
        known = read_checkpoint(checkpoint, key)
        if known is None:
            self._begin()
        else:
            self._restore(known)
        try:
            if not self._stopped:
                self._stopped = self._steps(job, told, lambda: save_checkpoint(checkpoint, key, self._state()))
        except (Stopped, KeyboardInterrupt):
            save_checkpoint(checkpoint, key, self._state())
            if told.stop is not None and self._done:
                self._stopped = f"It was stopped after {self._done} of {self._asked.course.steps} steps."
                if self._budget is not None and self._length:  # it may have ended in the middle of a step
                    self._parameters.hold(self._length)
                with whole(ending=True):  # a gate is read once more, to say how much of its vector it adds
                    told.stop(self._end(name, data_name, measured=False))
            raise
        save_checkpoint(checkpoint, key, self._state())
        trained = self._end(name, data_name)
        clear_checkpoint(checkpoint)
        return trained

    # -- before the first step -------------------------------------------------

    def _read(self, job: Job[Any]) -> None:
        asked = self._asked
        of = partial(self._readings.of, self._host, places=asked.trainee.places, job=job)
        self._known = of(self._texts.replied)
        watched = of(self._held_out.replied) if self._held_out.examples else None
        self._begun: Beginning = beginning(self._known, self._texts, asked.trainee, asked.start, asked.course.seed)
        begun = self._begun
        self._parameters = Parameters(asked.trainee, begun.rows, begun.scale, begun.low, self._host.device)
        self._objective = self._made(self._known, self._texts)
        self._validation = None if watched is None else self._made(watched, self._held_out)
        self._optimiser = torch.optim.AdamW(
            self._parameters.live,
            lr=asked.course.learning_rate,
            betas=BETAS,
            eps=EPS,
            weight_decay=asked.course.weight_decay,
        )
        self._budget = self._last_budget = None
        if asked.nats is not None:
            everyday = self._readings.everyday(self._host, asked.trainee.places)
            self._last_budget = Budget(self._host, everyday, asked.nats, self._parameters, self._applied)
            # How much a gate adds it reads itself: multiplied meanwhile by what its mean may cost, it shuts, and the
            # factor runs away. Only what is applied in the end, its mean, has the budget's size.
            self._budget = None if asked.trainee.mode == "gated_add" else self._last_budget

    def _made(self, known: KnownTexts, texts: Texts) -> Objective | Sampled:
        asked, weights = self._asked, None
        if asked.sampling is not None:
            how = asked.loss, asked.numbers, asked.sampling, asked.course.seed
            return Sampled(self._host, texts, self._parameters, *how)
        if asked.loss.weighted:
            prompts = known.prompts[[each.chosen for each in texts.examples]]
            weights = matching_weights(prompts, torch.tensor([each.wanted for each in texts.examples]))
        return Objective(known, texts.examples, self._parameters, asked.loss, asked.numbers, weights=weights)

    def _begin(self) -> None:
        if isinstance(self._objective, Sampled):
            self._objective.check()
        if self._budget is not None:
            self._budget.search()
        self._length = self._parameters.length
        self._best = self._parameters.state()
        self._look(0)

    # -- steps -----------------------------------------------------------------

    def _steps(self, job: Job[Any], told: Followers, save: Callable[[], None]) -> str:
        """Take the steps that are left; why it ended."""
        course, saved = self._asked.course, time.monotonic()
        every, seldom = max(1, course.steps // LOOKS), max(1, course.steps // SELDOM)
        batches = shuffled(len(self._texts.examples), course.batch, course.seed, start=self._done)
        good = self._parameters.state()
        for step in range(self._done, course.steps):
            before, began = self._parameters.state(), time.monotonic()
            point, fault = self._step(step, next(batches).tolist())
            if fault:  # what the last step made may be to blame, whose loss is not known
                self._parameters.restore(before if math.isfinite(point["loss"]) else good)
                return f"{fault} at step {step + 1}; the vector is the last one at which it was."
            good = before
            self._done = step + 1
            if self._validation is not None and (self._done % every == 0 or self._done == course.steps):
                point |= self._look(self._done)
            if told.look is not None and (self._done % seldom == 0 or self._done == course.steps):
                point |= told.look(*self._applied(steps=self._done))
            self._curve.append(point)
            note_example(self._host, (time.monotonic() - began) / course.batch)
            if told.step is not None:
                told.step(point)
            job.report(self._done, course.steps, f"steps of {told.title}, loss {point['loss']:.3g}")
            if course.patience and self._looks >= course.patience:
                return f"The held-out loss has not fallen for {self._looks} looks, since step {self._best_step}."
            if time.monotonic() - saved > SECONDS:
                save()
                saved = time.monotonic()
        return _WHOLE

    def _step(self, step: int, chosen: list[int]) -> tuple[Point, str]:
        """One step; its numbers, and what went wrong where something did."""
        course, parameters = self._asked.course, self._parameters
        found = self._objective.measured(chosen, progress=step / course.steps, step=step, gradient=True)
        fault = _fault(found)
        rate = course.learning_rate * share_of_rate(step, course.steps)
        point = {
            "step": step + 1.0,
            "loss": found.loss,
            "margin": found.margin,
            "length": parameters.length,
            "rate": rate,
            "validation_loss": _UNKNOWN,
            "validation_margin": _UNKNOWN,
            "kl": _UNKNOWN,
        }
        if fault:
            return point, fault
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        for live, gradient in zip(parameters.live, found.gradient, strict=True):
            live.grad = gradient
        self._optimiser.step()
        if not all(bool(torch.isfinite(live).all()) for live in parameters.live):
            return point, "The vector is not finite"
        if self._budget is not None:
            point["kl"] = self._keep(step + 1)
        return point, ""

    def _keep(self, done: int) -> float:
        """Hold the vector at its budget; what it cost, where that was looked at."""
        assert self._budget is not None
        cost = _UNKNOWN
        if self._length:
            self._parameters.hold(self._length)
            if done % EVERY == 0 and done < self._asked.course.steps:
                cost = self._budget.adjust()
        else:  # it began at nothing
            cost = self._budget.search()
        self._length = self._parameters.length
        return cost

    def _look(self, done: int) -> Point:
        """Look at the held-out examples, and keep the vector where their loss is the least so far."""
        if self._validation is None:
            return {}
        self._validation.running = self._objective.running
        found = self._validation.measured(range(len(self._held_out.examples)), progress=done / self._asked.course.steps)
        if found.loss < self._least:
            self._least, self._best_step, self._looks = found.loss, done, 0
            self._best = self._parameters.state()
        else:
            self._looks += 1
        return {"validation_loss": found.loss, "validation_margin": found.margin}

    # -- checkpoints -----------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return {
            "done": self._done,
            "stopped": self._stopped,
            "curve": self._curve,
            "parameters": self._parameters.state(),
            "optimiser": self._optimiser.state_dict(),
            "length": self._length,
            "running": self._objective.running,
            "best": self._best,
            "least": self._least,
            "best_step": self._best_step,
            "looks": self._looks,
        }

    def _restore(self, known: dict[str, Any]) -> None:
        self._done, self._curve, self._stopped = known["done"], known["curve"], known["stopped"]
        self._parameters.restore(known["parameters"])
        self._optimiser.load_state_dict(known["optimiser"])
        self._length, self._objective.running = known["length"], known["running"]
        self._best, self._least = known["best"], known["least"]
        self._best_step, self._looks = known["best_step"], known["looks"]

    # -- the end ---------------------------------------------------------------

    def _end(self, name: str, data_name: str, *, measured: bool = True) -> Trained:
        """What it came to; what it costs is measured anew, unless it is to end at once."""
        best = self._done
        if self._validation is not None:
            self._parameters.restore(self._best)
            best = self._best_step
        cost = self._last_budget.search() if self._last_budget is not None and measured else None
        intervention, vectors = self._applied(name, data_name, best)
        first, *others = vectors.values()
        return Trained(first, tuple(others), intervention, self._curve, self._stopped, best, cost)

    def _applied(self, name: str = "trained", data_name: str = "", steps: int = 0) -> tuple[Intervention, Vectors]:
        """The vector as it stands, and how a recipe applies it."""
        asked, parameters = self._asked, self._parameters
        made = provenance_of(
            self._host,
            method=f"{TRAINED}{asked.loss_name}",
            data=data_name,
            digest=asked.data,
            seed=asked.course.seed,
            n_train=(_count(self._texts, True), _count(self._texts, False)),
            n_validation=(_count(self._held_out, True), _count(self._held_out, False)),
            settings={**asked.plain, "steps_taken": steps},
        )
        gate = self._gate() if asked.trainee.mode == "gated_add" else None
        vectors = vectors_of(self._host, parameters, self._begun, name, gate=gate, provenance=made)
        named = {each.name: each for each in vectors}
        return intervention_of(asked.trainee, list(named), parameters.amount), named

    def _gate(self) -> Tensor:
        """How much a gate adds in the mean over some texts, raw units, (block,)."""
        assert isinstance(self._objective, Objective)
        return self._objective.gate(range(min(_GATED, len(self._texts.examples))))


def _count(texts: Texts, wanted: bool) -> int:
    labelled = sum(each.wanted is wanted for each in texts.examples)
    others = sum(each.rejected is not None for each in texts.examples) + len(texts.beside)
    return labelled + (0 if wanted else others)


def _fault(found: Measured) -> str:
    if not math.isfinite(found.loss):
        return "The loss is not finite"
    return "" if all(bool(torch.isfinite(each).all()) for each in found.gradient) else "The gradient is not finite"
