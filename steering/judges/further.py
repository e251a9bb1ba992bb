"""Judges of refusals that packages add, used wherever a classifier can be named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steering.errors import SteeringError
from steering.model.host import Host
from steering.plugins import Registry, of_class


Verdicts = Callable[[Sequence[str]], Sequence[bool]]
"""Says of each of some replies whether it refuses."""


@dataclass(frozen=True)
class Judge:
    """A judge, as a package offers it."""

    title: str
    """A few words for people."""
    load: Callable[[Host], Verdicts]
    """Called on the model thread, once a run; gives what judges. It may use the model, in jobs that join the run's."""


JUDGES: Registry[Judge] = Registry("judge", of_class("judge", Judge))
"""Those of packages, by name."""


def load_judge(host: Host, name: str) -> Callable[[Sequence[str]], list[bool]]:
    """A judge of a package, whose verdicts are looked at.

    Args:
        host: The model.
        name: A key of `JUDGES`.
    """
    verdicts = host.run(lambda job: JUDGES[name].load(host), title=f"Loading the judge {name}")

    def judge(replies: Sequence[str]) -> list[bool]:
        found = list(host.run(lambda job: verdicts(replies), title="Judging replies"))
        if len(found) != len(replies) or not all(isinstance(each, bool) for each in found):
            raise SteeringError(
                f"The judge '{name}' of {JUDGES.plugins[name].package} gave {len(found)} verdicts on {len(replies)} "
                f"replies, such as {found[:1]!r}.",
                "True or False for each reply.",
                "Mend the package, or go on without that judge.",
            )
        return found

    return judge
