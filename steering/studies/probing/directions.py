"""Probes' directions as steering vectors: one a block, from all pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from steering.extraction.fitter import unit
from steering.extraction.provenance import made_here
from steering.studies.probing.analysis import auroc_of
from steering.studies.probing.found import Found
from steering.studies.probing.references import REFERENCES, direction_of
from steering.vectors.vector import Provenance, SteeringVector


if TYPE_CHECKING:
    from steering.passes.schedule import Place
    from steering.statistics import Estimate

NAMES = {"ccs": "CCS probe", "logistic": "logistic probe", "statement": "harm of statements"}
"""What the vectors are called."""


def vectors_of(found: Found) -> dict[str, SteeringVector]:
    """A vector for each way to a direction, at the first site that was read.

    A vector has a direction in every block: where none was probed, that of the nearest block that was.
    """
    return {name: _vector(found, name) for name in NAMES}


def _vector(found: Found, name: str) -> SteeringVector:
    site = found.settings.sites[0]
    probed = {block: (block, site) for block in found.blocks}
    nearest = [min(probed, key=lambda block: abs(block - each)) for each in range(found.host.info.blocks)]
    directions = {block: _WAYS[name](found, place) for block, place in probed.items()}
    units = unit(torch.stack([directions[block] for block in nearest]))
    parts = {block: _sides(found, name, place) for block, place in probed.items()}
    gaps, zeros, norms = [], [], []
    for block, direction in zip(nearest, units, strict=True):
        moved, middle = parts[block]
        gaps.append(float((moved[found.harmful].mean(dim=0) - moved[~found.harmful].mean(dim=0)) @ direction))
        zeros.append(float(middle[~found.harmful].mean(dim=0) @ direction))
        norms.append(float(middle.norm(dim=1).mean()))
    scores = {block: _separation(found, name, place) for block, place in probed.items()}
    value, low, high = (torch.tensor([scores[block][which] for block in nearest]) for which in range(3))
    block, reason = chosen_block(found, name)
    return SteeringVector(
        name=NAMES[name],
        directions=units.float(),
        mean_differences=torch.tensor(gaps),
        residual_norms=torch.tensor(norms),
        auroc=value,
        auroc_low=low,
        auroc_high=high,
        site=site,
        default_block=block,
        default_block_reason=reason,
        suggested_strength=2.0,
        references=torch.tensor(zeros),
        provenance=_provenance(found, name),
    )


def chosen_block(found: Found, name: str) -> tuple[int, str]:
    """The block whose direction is written: for CCS by its loss, which needs no labels, else by held-out AUROC."""
    site = found.settings.sites[0]
    if name == "ccs":
        losses = {block: found.at[block, site].ccs.train_loss for block in found.blocks}
        return min(losses, key=lambda block: losses[block]), "the block of least CCS loss"
    scores = {block: _separation(found, name, (block, site)).value for block in found.blocks}
    return max(scores, key=lambda block: scores[block]), "the block of best held-out AUROC"


def _ccs(found: Found, place: Place) -> Tensor:
    return found.at[place].ccs.direction


def _logistic(found: Found, place: Place) -> Tensor:
    return torch.from_numpy(direction_of(found.prepared(place), REFERENCES["logistic"]))


def _statement(found: Found, place: Place) -> Tensor:
    _, middle = _sides(found, "statement", place)
    return middle[found.harmful].mean(dim=0) - middle[~found.harmful].mean(dim=0)


_WAYS: dict[str, Callable[[Found, Place], Tensor]] = {"ccs": _ccs, "logistic": _logistic, "statement": _statement}


def _sides(found: Found, name: str, place: Place) -> tuple[Tensor, Tensor]:
    """What the direction tells apart, x(Yes) - x(No) or the state itself, and the state, (statement, width) each."""
    no, yes = (states.double() for states in found.raw(place))
    middle = (no + yes) / 2
    return (middle if name == "statement" else yes - no), middle


def _separation(found: Found, name: str, place: Place) -> Estimate:
    if name == "statement":
        return found.apart[place]["statement"].auroc
    at = found.at[place]
    return auroc_of(at.ccs if name == "ccs" else at.others[name])


def _provenance(found: Found, name: str) -> Provenance:
    counts = (len(found.pairs), len(found.pairs))
    return Provenance(
        method={"ccs": "ccs", "logistic": "logistic", "statement": "mean_difference"}[name],
        pooling=f"template {found.settings.template_on(found.host)}",
        contrast=f"statements {found.statements.name}",
        contrast_digest=found.statements.digest[:12],
        positive_label="harmful",
        negative_label="safe",
        n_train=counts,
        n_validation=counts,
        seed=found.settings.seed,
        settings=found.settings.model_dump(mode="json", exclude={"kept", "vectors"}),
        **made_here(found.host),
    )
