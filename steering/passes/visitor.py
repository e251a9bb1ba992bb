"""What one forward pass does where it comes by something: reads, gates and writes. Which engine runs the pass, and
hands the states over, is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from steering.model.host import Host
from steering.model.outputs import hidden, with_hidden
from steering.model.sites import ReadPlace
from steering.passes.schedule import Coverage, Schedule, Visit
from steering.passes.split_batches import Reader
from steering.passes.stops import Stop, in_forward_order
from steering.writes.interventions import Gate


@dataclass(frozen=True, eq=False)
class Route:
    """What a pass comes by, and why it stops there."""

    visits: Mapping[ReadPlace, Visit]
    gates: Mapping[ReadPlace, Sequence[Gate]]
    sources: frozenset[ReadPlace]
    """Places whose states visits further on need."""
    stops: Sequence[Stop]
    """In forward order."""

    @classmethod
    def of(cls, host: Host, schedule: Schedule, coverage: Coverage, places: Sequence[ReadPlace] = ()) -> Route:
        """What a pass comes by that covers some tokens, and is read at `places`.

        Raises:
            SteeringError: The input of an MLP that has none to name.
        """
        visits = schedule.active(coverage)
        sources = frozenset(schedule.sources(visits))
        stops = in_forward_order(host, {*visits, *schedule.gates, *sources, *places})
        return cls(visits, schedule.gates, sources, stops)

    @cached_property
    def around(self) -> Sequence[Stop]:
        """The stops in the order in which they are put around their modules, the innermost first."""
        return [*(each for each in self.stops if not each.is_input), *(s for s in reversed(self.stops) if s.is_input)]

    @cached_property
    def shape(self) -> tuple[Any, ...]:
        """Equal for routes on which the same is done to other tensors: where it stops, and what kinds of operations,
        scopes and gates are at work.
        """
        writes = tuple(
            (place, tuple((type(turn.operation), turn.operation.reads, turn.gate is None) for turn in visit.turns))
            for place, visit in self.visits.items()
        )
        gates = tuple((place, tuple(gate.per for gate in gates)) for place, gates in self.gates.items())
        return writes, gates, self.sources


@dataclass(eq=False)
class Visitor:
    """Goes along a route once."""

    route: Route
    coverage: Coverage
    n_rows: int
    last: Tensor | None = None
    """The last position of each row's prompt; None in a step after the prompts."""
    read: Reader | None = None
    wanted: frozenset[ReadPlace] = frozenset()
    """Where `read` gets the states."""
    _sums: dict[ReadPlace, Any] = field(default_factory=dict)

    def meet(self, stop: Stop, value: Any) -> Any:
        """What a module is to be given, or to have given, in place of `value`; None to leave it."""
        place, scale = stop.place, stop.part.scale
        states = own = hidden(value, self.n_rows)
        if scale != 1 or place in self._sums or not stop.last:
            states = self._sums.pop(place, 0) + scale * (own.float() if own.dtype.itemsize < 4 else own)
        if not stop.last:
            self._sums[place] = states
            return None
        for gate in self.route.gates.get(place, ()):
            self.coverage.decide(gate, states, self.last)
        changed = None
        if place in self.route.visits:
            new = self.route.visits[place].write(states, self.coverage)
            # The module gives what the model is yet to scale, or the last of several summands; the change alone is
            # carried back to it, so that what is not written stays as it is to the bit.
            changed = new if states is own else (own + (new - states) / scale).to(own.dtype)
            states = new
        if place in self.route.sources:
            self.coverage.keep(place, states)
        if place in self.wanted and self.read is not None:
            self.read(place, states.clone())  # Falcon adds to its MLP's output in place
        return None if changed is None else with_hidden(value, changed)
