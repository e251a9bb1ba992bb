"""The best single direction of refusal in a model, found as somebody would who does not know it."""

from __future__ import annotations

from collections.abc import Callable

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.passes.pooling import Pooling
from steering.studies.refusal import REFUSAL, Inquiry, RefusalSettings
from steering.vectors.vector import SteeringVector


POOLINGS: tuple[Pooling, ...] = ("last_token", "last_content")


def find_direction(
    host: Host,
    *,
    n_train: int = 128,
    n_validation: int = 32,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> SteeringVector:
    """The direction that the refusal study chooses (`steering.studies.refusal`), after Arditi et al. 2024.

    Args:
        host: A model that refuses.
        n_train: Harmful, and as many harmless, requests of the training split to fit on.
        n_validation: Held-out requests of each side to choose on; no test prompt is among them.
        seed: Of the training and validation requests.
        progress: Told what is being done.

    Returns:
        The one direction in every block, `default_block` where it was read. Its mean differences are how far apart the
        two sides lie along it in each block.

    Raises:
        SteeringError: The model refuses too little for a direction.
    """
    progress("finding the refusal direction")
    settings = RefusalSettings(
        data="demo", n_train=n_train, n_validation=n_validation, seed=seed, until="candidates", complete=False
    )
    inquiry = Inquiry(host, settings, {})

    def work(job: Job[None]) -> None:
        for _ in inquiry.run(job):
            job.check()

    host.run(work, title="Finding the refusal direction")
    if inquiry.choice is None:
        assert inquiry.prepared is not None
        raise SteeringError(inquiry.prepared.obstacle, "a model that refuses harmful requests.")
    place = inquiry.choice.score.candidate
    return inquiry.vectors[REFUSAL].renamed(f"refusal, token {place.position}, block {place.block}")
