"""Where workers run: on a Ray cluster, or on processes of this machine that Ray starts and ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from steering.errors import SteeringError
from steering.numbers import counted


STORE = 200 * 2**20
"""Bytes of a local pool's memory for what is sent: plans and vectors, once for all workers."""


@dataclass(frozen=True)
class Workers:
    """How many workers there are to be, and what each takes."""

    count: int
    address: str = ""
    """Of a Ray cluster that this machine is part of, auto or such as 10.0.0.1:6379; processes of its own without."""
    gpus: float = 0.0
    """GPUs a worker; a share of one where less than 1, and the CPU where 0."""
    threads: int = 1
    """CPU threads a worker. Numbers may differ in their last digits with another number of threads."""

    def __post_init__(self) -> None:
        if self.count < 1 or self.gpus < 0 or self.threads < 1:
            raise SteeringError(
                f"{counted(self.count, 'worker')} with {self.gpus:g} GPUs and {counted(self.threads, 'thread')} each "
                "were asked for.",
                "at least one worker with one thread, and no fewer than no GPUs.",
            )


def check_ray() -> None:
    """Raise where Ray is not installed.

    Raises:
        SteeringError: It is not.
    """
    # Read when it is imported: nothing is reported to anybody, and workers without a GPU keep their environment.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise SteeringError(
            "Workers were asked for, and Ray is not installed.",
            "the extra 'ray' of the workbench.",
            "Run: pip install 'steering-workbench[ray]'.",
        ) from error


@contextmanager
def cluster(workers: Workers) -> Iterator[None]:
    """Ray running: one that runs in this process already, the one at the address, or one of this machine's own."""
    check_ray()
    import ray

    own = not ray.is_initialized()
    try:
        if own and workers.address:
            ray.init(workers.address, log_to_driver=False, configure_logging=False)
        elif own:
            cpus = workers.count * workers.threads
            ray.init(
                "local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=STORE,
                log_to_driver=False,
                configure_logging=False,
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise SteeringError(
            f"Ray could not be reached: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            "the address of a running cluster of which this machine is a part, or auto."
            if workers.address
            else "a machine on which Ray starts.",
            "Start one with `ray start --head`, or leave the address out." if workers.address else "",
        ) from error
    try:
        _check_room(ray.cluster_resources(), workers)
        yield
    finally:
        if own:
            ray.shutdown()


def _check_room(room: dict[str, float], workers: Workers) -> None:
    """Raise where not one worker has room, or, on this machine alone, not all have.

    Raises:
        SteeringError: So it is.
    """
    each = {"CPU": float(workers.threads), "GPU": workers.gpus}
    most = min(int(room.get(kind, 0.0) / need + 1e-9) for kind, need in each.items() if need)
    if most >= (1 if workers.address else workers.count):
        return
    has = f"{room.get('CPU', 0.0):g} CPUs and {room.get('GPU', 0.0):g} GPUs"
    raise SteeringError(
        f"{counted(workers.count, 'worker')} of {counted(workers.threads, 'thread')} and {workers.gpus:g} GPUs were "
        f"asked for; Ray has {has}.",
        f"at most {most} of them." if most else "room for one.",
        "Ask for fewer, or for less each.",
    )
