"""The plans of all rows of a batch, sorted into what one forward pass does at each place.

Rows, not models, carry plans. The unsteered row, the steered row and a whole sweep of strengths are rows of one batch;
what each visit to a place does to which rows at which tokens is worked out before the pass, so that the pass itself is
a plain loop in forward order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.sites import Place, ReadPlace
from steering.passes.rows import Batch
from steering.writes.interventions import Gate, Plan, Scope, Write, in_prompt, in_reply, scope_mask
from steering.writes.operations import Operation
from steering.writes.stacking import Stacks


_CPU = torch.device("cpu")


@dataclass
class Turn:
    """One operation on some rows, at one place."""

    rows: Tensor
    """Indices, (n,)."""
    operation: Operation
    scope: Scope
    gate: Gate | None
    device: torch.device | None = None
    """Where it was used last."""

    def __post_init__(self) -> None:
        self.n_rows, self._rows = self.rows.shape[0], self.rows

    def on(self, device: torch.device) -> tuple[Operation, Tensor]:
        """The operation and the rows' indices, which move to a device once and not at every step."""
        if self.device != device:
            self.operation, self._rows, self.device = self.operation.to(device), self.rows.to(device), device
        return self.operation, self._rows


@dataclass
class Visit:
    """What one forward pass does at one place."""

    turns: list[Turn] = field(default_factory=list)
    """In the order in which they apply."""

    def write(self, states: Tensor, coverage: Coverage) -> Tensor:
        """New states with every turn applied to its rows at its tokens; the input is left alone."""
        new = states
        for turn in self.turns:
            if not coverage.touches(turn.scope):
                continue
            covered = coverage.of(turn, states.device)
            operation, rows = turn.on(states.device)
            all_rows = turn.n_rows == states.shape[0]
            own = new if all_rows else new[rows]
            written = _apply(operation, own, coverage.beside(turn, states.device))
            if covered is not None:
                written = torch.where(covered[..., None], written, own)
            if all_rows:
                new = written
                continue
            new = new.clone() if new is states else new
            new[rows] = written
        return new


def _apply(operation: Operation, states: Tensor, seen: Tensor | None) -> Tensor:
    # Half precision would round the projection, and a large strength would overflow float16 on the way.
    new = operation.beside(_whole(states), None if seen is None else _whole(seen))
    return new if new.dtype == states.dtype else new.to(states.dtype)


def _whole(states: Tensor) -> Tensor:
    return states.float() if states.dtype.itemsize < 4 else states


class Coverage:
    """Which tokens of one forward pass each turn covers, gates included, and what the pass has met that turns need."""

    def __init__(self, masks: Mapping[Scope, Tensor | None], decided: dict[Gate, Tensor]) -> None:
        self._masks = masks
        self._decided = decided
        self._met: dict[ReadPlace, Tensor] = {}

    def touches(self, scope: Scope) -> bool:
        """Whether a scope has any token in this pass."""
        return scope in self._masks

    def of(self, turn: Turn, device: torch.device) -> Tensor | None:
        """Where a turn writes, boolean, (row of the turn, position); None for everywhere."""
        mask = self._masks[turn.scope]
        covered = None if mask is None else mask[turn.rows].to(device)
        if turn.gate is None:
            return covered
        opened = self._decided[turn.gate].to(device)[turn.rows]
        return opened if covered is None else opened & covered

    def decide(self, gate: Gate, states: Tensor, last: Tensor | None) -> None:
        """Read a gate where the pass comes by its place; `last` is None in a step after the prompts."""
        if gate.per == "token":
            self._decided[gate] = gate.opens(states)
        elif last is not None:
            rows = torch.arange(len(states), device=states.device)
            self._decided[gate] = gate.opens(states[rows, last.to(states.device)])[:, None]

    def keep(self, place: ReadPlace, states: Tensor) -> None:
        """Keep the states that turns at places behind this one need."""
        self._met[place] = states.clone()  # Falcon adds to its MLP's output in place

    def beside(self, turn: Turn, device: torch.device) -> Tensor | None:
        """The states at the other place that a turn needs, (row of the turn, position, width); None for most."""
        if turn.operation.reads is None:
            return None
        met = self._met[turn.operation.reads].to(device)
        _, rows = turn.on(device)
        return met if turn.n_rows == met.shape[0] else met[rows]

    def counts(self, touches: Sequence[Turn], n_rows: int) -> Tensor:
        """How many positions of each row were written, (row,)."""
        covered = [(turn.rows, self.of(turn, _CPU)) for turn in touches if self.touches(turn.scope)]
        width = max((mask.shape[1] for _, mask in covered if mask is not None), default=1)
        written = torch.zeros(n_rows, width, dtype=torch.bool)
        for rows, mask in covered:
            written[rows] |= torch.ones(1, 1, dtype=torch.bool) if mask is None else mask
        return written.sum(dim=1)


class Schedule:
    """What is written where for every row, from the first prompt token to the last of the reply.

    One schedule serves one generation: it remembers what gates decided on the prompts.
    """

    def __init__(self, host: Host, plans: Sequence[Plan]) -> None:
        """Sort the plans of all rows.

        Raises:
            SteeringError: A block or site that the model does not have, or a direction of another width.
        """
        for write in {id(write): write for plan in plans for write in plan}.values():
            _check(host, write)
        self.host, self.plans = host, tuple(plans)
        self.n_rows = len(plans)
        self.visits = _visits(plans)
        self.gates: dict[ReadPlace, list[Gate]] = defaultdict(list)
        for gate in dict.fromkeys(write.gate for plan in plans for write in plan if write.gate):
            self.gates[gate.block, gate.site].append(gate)
        turns = [turn for visit in self.visits.values() for turn in visit.turns]
        # Equal rows, scope and gate cover equal tokens, however many blocks write them.
        self._distinct = list({(tuple(t.rows.tolist()), t.scope, t.gate): t for t in turns}.values())
        self._decided: dict[Gate, Tensor] = {}

    @classmethod
    def joined(cls, parts: Sequence[tuple[Schedule, Sequence[int]]]) -> Schedule:
        """One schedule of some rows of several, in the middle of their replies: what gates decided on prompts stays."""
        host = parts[0][0].host
        new = cls(host, [schedule.plans[row] for schedule, rows in parts for row in rows])
        for gate in {gate for gates in new.gates.values() for gate in gates if gate.per == "prompt"}:
            decided = [schedule._decided_on(gate)[list(rows)] for schedule, rows in parts]
            new._decided[gate] = torch.cat([each.to(decided[0].device) for each in decided])
        return new

    def _decided_on(self, gate: Gate) -> Tensor:
        """Where a gate is open, boolean, (row, 1); nowhere before it was read, and for those who have no such gate."""
        return self._decided.get(gate, torch.zeros(self.n_rows, 1, dtype=torch.bool))

    def of_prompts(self, batch: Batch) -> Coverage:
        """What a pass over the prompts covers; forgets what gates decided before."""
        self._decided = {}
        scopes = {turn.scope for turn in self._distinct}
        has_reply = bool((batch.last < batch.real.shape[1] - 1).any())
        used = [scope for scope in scopes if in_prompt(scope) or (has_reply and in_reply(scope))]
        for scope in used:
            _check_positions(scope, batch)
        return Coverage({scope: scope_mask(scope, batch.real, batch.last) for scope in used}, self._decided)

    def of_step(self) -> Coverage:
        """What a pass over one more token covers."""
        return Coverage({turn.scope: None for turn in self._distinct if in_reply(turn.scope)}, self._decided)

    def active(self, coverage: Coverage) -> dict[ReadPlace, Visit]:
        """The visits at which anything is written."""
        return {
            place: visit
            for place, visit in self.visits.items()
            if any(coverage.touches(turn.scope) for turn in visit.turns)
        }

    def sources(self, visits: Mapping[ReadPlace, Visit]) -> set[ReadPlace]:
        """The other places whose states visits need."""
        reads = (turn.operation.reads for visit in visits.values() for turn in visit.turns)
        return {place for place in reads if place is not None}

    def written(self, coverage: Coverage) -> list[int]:
        """How many positions of each row a pass wrote; call after the pass, when gates have decided."""
        return coverage.counts(self._distinct, self.n_rows).tolist()


def _check(host: Host, write: Write) -> None:
    for place in (write, write.gate):
        if place is not None:
            host.sites.check(place.site, place.block)
    if write.operation.reads is not None:
        block, site = write.operation.reads
        host.sites.check_read(site, block)
    width = write.operation.width
    if width != host.info.width:
        raise SteeringError(
            f"A direction of width {width} was given.",
            f"width {host.info.width}, as {host.name} has.",
            "Extract the vector again from this model.",
        )


def _check_positions(scope: Scope, batch: Batch) -> None:
    if isinstance(scope, tuple):
        shortest = int((batch.last - batch.first).min()) + 1
        if max(scope) >= shortest:
            raise SteeringError(
                f"Token {max(scope)} of the prompt was chosen.",
                f"a token from 0 to {shortest - 1}: the prompt has {shortest}.",
                "Choose the tokens again; the prompt may have changed.",
            )


def _visits(plans: Sequence[Plan]) -> dict[Place, Visit]:
    """Group writes of several rows into one turn; the n-th write of a row at a place stays its n-th."""
    at_place: dict[Place, list[list[Write]]] = defaultdict(lambda: [[] for _ in plans])
    for row, plan in enumerate(plans):
        for write in plan:
            at_place[write.block, write.site][row].append(write)
    visits, stacks = {}, Stacks()
    for place, per_row in at_place.items():
        visit = Visit()
        for turn in range(max(map(len, per_row))):
            groups: dict[tuple[Scope, Gate | None], list[tuple[int, Operation]]] = defaultdict(list)
            for row, writes in enumerate(per_row):
                if turn < len(writes):
                    write = writes[turn]
                    groups[write.scope, write.gate].append((row, write.operation))
            visit.turns += [
                Turn(torch.tensor(rows), operation, scope, gate)
                for (scope, gate), of_rows in groups.items()
                for rows, operation in stacks.of(of_rows)
            ]
        visits[place] = visit
    return visits
