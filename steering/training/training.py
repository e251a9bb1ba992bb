"""The training of a steering vector: steps on preference data, the model frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steering.lane import Job
from steering.loading.tensor_parallel import check_undivided
from steering.model.host import Host
from steering.training.asked import Asked
from steering.training.beginnings import Start
from steering.training.budget import check_budget
from steering.training.checkpoints import Place
from steering.training.course import RATE, Course, check_together, find_loss, split
from steering.training.followers import Followers, OnLook, OnStep, OnStop
from steering.training.loop import Loop
from steering.training.readings import Readings
from steering.training.rewards import Sampling
from steering.training.texts import Given, check, digest_of, texts_of
from steering.training.trained import Trained
from steering.training.trainee import Trainee
from steering.vectors.vector import SteeringVector


def train(
    host: Host,
    data: Sequence[Given],
    trainee: Trainee,
    *,
    loss: str = "dpo",
    numbers: Mapping[str, float] | None = None,
    budget: float | None = None,
    steps: int = 200,
    batch: int = 8,
    learning_rate: float = RATE,
    weight_decay: float = 0.0,
    seed: int = 0,
    start: Start | SteeringVector = "mean_difference",
    validation: Sequence[Given] | float = 0.0,
    patience: int = 5,
    sampling: Sampling | None = None,
    on_step: OnStep | None = None,
    on_look: OnLook | None = None,
    on_stop: OnStop | None = None,
    resume: Place = None,
    readings: Readings | None = None,
    name: str | None = None,
    title: str | None = None,
    data_name: str = "",
) -> Trained:
    """Train a direction, or one a block, or a span of several. The model's own weights stay as they are.

    What a step sees depends on its number and the seed alone, so a stopped training ends as it would have, to the bit.

    Args:
        host: The model.
        data: Pairs of a chosen and a rejected reply, or replies that are wanted or not, as the loss takes them.
        trainee: What is trained, and where it is written.
        loss: A key of `LOSSES`.
        numbers: The loss's own numbers; its defaults for those that are not given.
        budget: What the vector may cost, in nats: its length is held there. None: its length is trained, too.
        steps: Of the optimiser.
        batch: Examples a step.
        learning_rate: See `Course`.
        weight_decay: Of AdamW.
        seed: Of the order and of a random start.
        start: Where to begin.
        validation: Examples on which the training is watched, or the share of the prompts that is kept for it; the
            vector is then that of the lowest loss there.
        patience: Looks at them without a lower loss after which it ends; 0 for never.
        sampling: How replies are sampled and rewarded, of a loss that takes the model's own (`rlvr`).
        on_step: Told of every step.
        on_look: Asked a few times what else is known of the vector; see `Followers`.
        on_stop: Told what a training came to that somebody stopped.
        resume: File of a training on its way, or a store of finished parts: one that is stopped is left there, and goes
            on from there when it is asked for again.
        readings: What was read of the texts by trainings before; what this one reads is put there, too.
        name: Of the vector; the loss's where None.
        title: What progress calls the training; the loss's title where None.
        data_name: What the data is called.

    Raises:
        SteeringError: As `texts_of`, `Trainee.check`, `Course.check`, `Loss.settings` and `beginning`; an unknown loss
            or one that does not go with what is trained; a model that is divided among processes.
        Stopped: Somebody stopped the job.
    """
    chosen = find_loss(loss)
    course = Course(
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
        patience=patience,
    ).check()
    settings = chosen.settings(numbers or {})
    check_together(chosen, trainee.check(host))
    check_budget(budget)
    how = (sampling or Sampling()).check() if chosen.sampled else None
    check_undivided(host.model._module, "A training")
    own, held_out = split(data, validation, seed)
    check(own, chosen.kind)
    if held_out:
        check(held_out, chosen.kind, both=False)

    def work(job: Job[Trained]) -> Trained:
        texts = [texts_of(host, part, chosen.kind, others=chosen.shift == "mismatched") for part in (own, held_out)]
        asked = Asked(trainee, loss, chosen, settings, course, budget, start, digest_of(own), digest_of(held_out), how)
        loop = Loop(host, texts[0], texts[1], asked, readings)
        return loop.run(
            job,
            told=Followers(title or chosen.title, on_step, on_look, on_stop),
            checkpoint=resume,
            name=name or loss,
            data_name=data_name,
        )

    return host.run(work, title=f"Training by {title or chosen.title}")
