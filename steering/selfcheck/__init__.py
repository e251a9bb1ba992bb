"""A minute of tests on a loaded model, before its results are trusted.

Every check compares two ways of computing the same thing, of which one involves as little of the workbench as can be: a
plain PyTorch hook, the model by itself, arithmetic on states. None needs to know the architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from steering.errors import SteeringError
from steering.host import Host
from steering.selfcheck.bench import Bench, Failed, NotApplicable
from steering.selfcheck.checks import CHECKS, threads_apart


__all__ = ["CHECKS", "Check", "Failed", "NotApplicable", "self_check"]

Outcome = Literal["pass", "fail", "not applicable"]


@dataclass(frozen=True)
class Check:
    """What one check found."""

    name: str
    outcome: Outcome
    meaning: str
    """What a pass says, in a sentence."""
    detail: str
    """What was measured, or why it does not apply."""


def self_check(host: Host, *, seed: int = 0) -> Iterator[Check]:
    """Run every check, one result at a time; one that breaks counts as failed and the others still run.

    Call from any thread but the model's own: one check asks from several threads at once.

    Args:
        host: The model; it is left as it was.
        seed: Of the random directions that are written.
    """
    vectors = torch.randn(4, host.info.width, generator=torch.Generator().manual_seed(seed))
    bench = Bench(host, vectors / vectors.norm(dim=-1, keepdim=True))
    for name, (meaning, check) in CHECKS.items():
        yield _outcome(name, meaning, check, bench)


def _outcome(name: str, meaning: str, check: Callable[[Bench], str], bench: Bench) -> Check:
    try:
        if check is threads_apart:
            return Check(name, "pass", meaning, check(bench))
        return Check(name, "pass", meaning, bench.host.run(lambda job: check(bench), title=f"Self-check: {name}"))
    except NotApplicable as reason:
        return Check(name, "not applicable", meaning, str(reason))
    except (Failed, SteeringError) as reason:
        return Check(name, "fail", meaning, str(reason))
    except Exception as error:  # a fault in the model's own code says as much as a wrong number
        return Check(name, "fail", meaning, f"{type(error).__name__}: {error}")
