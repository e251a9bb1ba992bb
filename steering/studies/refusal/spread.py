"""What the study of refusal has workers compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steering.lane import Job
from steering.model.host import Host
from steering.passes.forced import Replied
from steering.store import Kept
from steering.studies.refusal.arms import Arms
from steering.studies.refusal.groups import Group


if TYPE_CHECKING:
    from steering.studies.refusal.effects import Effects


@dataclass(frozen=True, eq=False)
class Ahead:
    """What one intervention makes of some groups, and perhaps what it costs: a part for a worker."""

    arms: Arms
    """One, with the vectors that it needs."""
    groups: tuple[Group, ...]
    replied: tuple[Replied, ...] | None
    """What damage is read on; None where costs are not asked for."""
    known: Mapping[str, dict[str, Any]]
    """Replies that are kept, so that those that are missing are decoded beside the same others as here."""
    effects: Callable[..., Effects]

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """As `Effects.alone`."""
        kept.update(self.known)
        some = {"questions": 0} if self.replied is None else {}
        yield from self.effects(host, self.arms, self.groups, kept=kept, **some).alone(job, self.replied)

    def pieces(self, host: Host) -> tuple[Ahead]:
        """Itself."""
        return (self,)
