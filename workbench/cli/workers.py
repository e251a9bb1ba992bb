"""`--workers`: the options by which a command has a study computed by several workers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.console import ERR
from workbench.cli.options import Command, taking


if TYPE_CHECKING:
    from steering.model.host import Host
    from steering.studies.study import Study

_OPTIONS: dict[str, tuple[Any, Any, str, str]] = {
    "count": (int, 0, "--workers", "Compute its parts by so many workers, each with the model (needs the ray extra)."),
    "address": (str, "", "--ray", "A Ray cluster for them, auto or HOST:PORT; else this machine."),
    "gpus": (float, 0.0, "--worker-gpus", "GPUs a worker, or a share of one; the CPU where 0."),
    "threads": (int, 1, "--worker-threads", "CPU threads a worker."),
}
"""As the fields of `steering.parts.ray_cluster.Workers`, which a test compares."""


def takes_workers(command: Command) -> Command:
    """Give a command the options above; it receives them as one mapping named `workers`."""
    return taking(command, "workers", [_parameter(name, *each) for name, each in _OPTIONS.items()])


def check_workers(study: Study, given: Mapping[str, Any]) -> None:
    """Raise where workers were asked for that would have nothing to do, before a model is loaded.

    Raises:
        SteeringError: The study has no parts for them, or nobody said how many.
    """
    from steering.errors import SteeringError
    from steering.parts.ray_cluster import check_ray
    from steering.studies import STUDIES

    if given["count"]:
        if not study.spreads:
            known = ", ".join(sorted(name for name, each in STUDIES.items() if each.spreads))
            raise SteeringError(
                f"The study {study.name} cannot be spread over workers: it runs in one process.",
                f"one of {known}.",
                "Leave --workers out; docs/scaling.md says why.",
            )
        check_ray()
    elif given["address"]:
        raise SteeringError(f"A cluster was named, {given['address']}, and no number of workers.", "--workers as well.")


@contextmanager
def spread_as(host: Host, given: Mapping[str, Any]) -> Iterator[None]:
    """Have the parts of a study computed by the workers that were asked for, if any were."""
    if not given["count"]:
        yield
        return
    from steering.numbers import counted
    from steering.parts.ray_cluster import Workers
    from steering.parts.ray_pool import spread

    workers = Workers(**given)
    with spread(host, workers):
        where = f"of the cluster {workers.address}" if workers.address else "of this machine"
        ERR.print(f"Its parts go to {counted(workers.count, 'worker')} {where}; the time above is one's.")
        yield


def _parameter(name: str, kind: Any, default: Any, flag: str, text: str) -> inspect.Parameter:
    option = typer.Option(flag, help=text, rich_help_panel="Several workers", min=0 if kind is not str else None)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
