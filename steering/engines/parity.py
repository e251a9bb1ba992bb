"""Whether an export does what the recipe does here: logits on a few prompts."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.abilities import TOLERANCE
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.writes.interventions import Plan


PROBES = ("Hello.", "What is two plus three, and what is five plus six?", "Write a note to my boss.")


def logits_under(host: Host, plan: Plan) -> Tensor:
    """Logits of the first reply token under a plan, float32 on the CPU, (probe, vocabulary)."""
    return next_token_logits(host, [Row(render(host, text), plan) for text in PROBES]).cpu()


def logits_of_the_bare_model(host: Host) -> Tensor:
    """The same of the model by itself, outside the workbench's own passes. Call on the model thread."""

    def of(ids: tuple[int, ...]) -> Tensor:
        own = {"use_cache": False} if "use_cache" in host.abilities.accepts else {}
        with torch.no_grad():
            output = host.model._module(input_ids=torch.tensor([list(ids)], device=host.device), **own)
        return output.logits[0, -1].float().cpu()

    return host.run(lambda job: torch.stack([of(tuple(render(host, text).ids)) for text in PROBES]), title="Reading")


def check_same(host: Host, found: Tensor, expected: Tensor, whose: str, *, remedy: str) -> None:
    """Raise where two sets of logits lie further apart than rounding.

    Raises:
        SteeringError: They do, and how far.
    """
    apart = float((found - expected).abs().max() / expected.std())
    allowed = TOLERANCE.get(host.model._module.dtype, TOLERANCE[torch.bfloat16])
    if not apart <= allowed:
        raise SteeringError(
            f"{whose} do not give the recipe's logits on {host.name}: they lie {apart:.2g} standard deviations apart.",
            f"at most {allowed:g}, as rounding gives.",
            remedy,
        )
