"""Candidate directions: the difference of means at every template token after the instruction, in every block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from steering.extraction.moments import Moments
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.tail_states import stream_tails
from steering.vectors.vector import Provenance, SteeringVector
from steering.writes.interventions import Plan, Write
from steering.writes.operations import Ablate, Add


@dataclass(frozen=True, order=True)
class Candidate:
    """One place that a direction is read at."""

    position: int
    """Of the token, from the prompt's end: -1 is the last."""
    block: int
    """0-based; the direction is read, and added, at its input."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Differences of means at the input of every block, raw."""

    tokens: tuple[str, ...]
    """The template tokens, in prompt order; the last is position -1."""
    differences: Tensor
    """r: mean of target less mean of control, float64, (token, block, width)."""
    control: Tensor
    """Mean state of control prompts, float64, (token, block, width)."""
    norms: Tensor
    """Mean norm of all states, float64, (token, block)."""
    provenance: Provenance

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every one, tokens in prompt order, blocks from below."""
        n, blocks = self.differences.shape[:2]
        return tuple(Candidate(token - n, block) for token in range(n) for block in range(blocks))

    def token(self, candidate: Candidate) -> str:
        """The token that a candidate is read at, as text."""
        return self.tokens[candidate.position]

    def raw(self, candidate: Candidate) -> Tensor:
        """r, float32, (width,)."""
        return self.differences[candidate.position, candidate.block].float()

    def unit(self, candidate: Candidate) -> Tensor | None:
        """u = r / |r|, float32, (width,); None where the two sides do not differ."""
        raw = self.differences[candidate.position, candidate.block]
        length = raw.norm()
        # Equal tokens embed equally: below the first block the last tokens differ by rounding at most.
        return (raw / length).float() if length > 1e-6 * self.norms[candidate.position, candidate.block] else None

    def ablation(self, candidate: Candidate, host: Host) -> Plan:
        """u taken out of all that enters the residual stream, at every token."""
        unit = self.unit(candidate)
        assert unit is not None
        return ablation_everywhere(host, unit)

    def addition(self, candidate: Candidate) -> Plan:
        """+1 r at the input of the candidate's block, at every token."""
        unit, raw = self.unit(candidate), self.raw(candidate)
        assert unit is not None
        return (Write(Add(unit, float(raw.norm())), candidate.block, "block_input"),)

    def vector(self, candidate: Candidate, name: str) -> SteeringVector:
        """The candidate as a steering vector: its one direction in every block, with each block's mean difference along
        it.
        """
        unit = self.unit(candidate)
        assert unit is not None
        blocks = self.differences.shape[1]
        direction = unit.double()
        return SteeringVector(
            name=name,
            directions=unit.repeat(blocks, 1),
            mean_differences=(self.differences[candidate.position] @ direction).float(),
            residual_norms=self.norms[candidate.position].float(),
            references=(self.control[candidate.position] @ direction).float(),
            auroc=None,
            auroc_low=None,
            auroc_high=None,
            site="block_input",
            default_block=candidate.block,
            default_block_reason=f"chosen by the refusal study, token {candidate.position} of the prompt",
            suggested_strength=1.0,
            provenance=replace(self.provenance, pooling=str(candidate.position)),
        )


def ablation_everywhere(host: Host, direction: Tensor) -> Plan:
    """A unit direction, or several as rows, taken out of all that enters the residual stream.

    Raises:
        SteeringError: Something enters it where no site reaches.
    """
    operation = Ablate(direction)
    return tuple(Write(operation, block, site) for block, site in host.sites.everywhere())


def read_directions(
    host: Host, target: Sequence[Prompt], control: Sequence[Prompt], n: int, provenance: Provenance, plan: Plan = ()
) -> Directions:
    """Mean differences at the last `n` tokens, accumulated in float64.

    Args:
        host: The model.
        target: Prompts of the training split that it refuses.
        control: Those that it answers.
        n: Tokens from the prompt's end.
        provenance: Where the prompts come from, for the vectors.
        plan: What is written while the states are read.
    """
    sides = []
    for prompts in (target, control):
        moments = Moments()
        for _, states in stream_tails(host, prompts, n, plan=plan):
            moments.update(states)
        sides.append(moments)
    total = sides[0].n + sides[1].n
    return Directions(
        tokens=tuple(target[0].tokens[-n:]),
        differences=sides[0].mean - sides[1].mean,
        control=sides[1].mean,
        norms=(sides[0].norm * sides[0].n + sides[1].norm * sides[1].n) / total,
        provenance=provenance,
    )


def cosines(directions: Directions, candidates: Sequence[Candidate]) -> Tensor:
    """Cosine of every two candidates, (candidate, candidate); NaN beside one without a direction."""
    nothing = torch.full((directions.differences.shape[-1],), float("nan"))
    rows = [directions.unit(each) for each in candidates]
    units = torch.stack([nothing if row is None else row for row in rows]).double()
    return units @ units.T
