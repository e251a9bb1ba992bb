"""From one intervention and the vectors that it names to writes."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.sites import Place, Site
from steering.recipes.recipe import GateSettings, Intervention
from steering.vectors.strength import to_raw
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Ablate, Add, Affine, Clamp, Erase, Operation, Rotate


Vectors = Mapping[str, SteeringVector]


def writes_of(intervention: Intervention, host: Host, vectors: Vectors) -> list[Write]:
    """The writes of one intervention, in forward order of its places.

    Raises:
        SteeringError: A vector that is missing, does not fit or lacks what the mode needs; a block or site that the
            model does not have; a strength outside its range; a gate behind what it gates.
    """
    vector = _vector(intervention.vector, vectors).check(host)
    others = [_vector(name, vectors).check(host) for name in intervention.others]
    gate = _gate(intervention.gate, host, vectors) if intervention.gate else None
    writes, made = [], dict[int, Operation]()
    for block, site in places_of(intervention, host, vector):
        source = vector.default_block if intervention.blocks == "everywhere" else block
        if source not in made:  # one operation at many places is moved to a device once
            made[source] = _operation(intervention, vector, others, source)
        writes.append(Write(made[source], block, site, intervention.scope, gate))
    return writes


def places_of(intervention: Intervention, host: Host, vector: SteeringVector) -> list[Place]:
    """The blocks and sites that an intervention writes.

    Raises:
        SteeringError: A block that the model does not have, a site that a block does not have, or everywhere where
            something enters the stream that no site reaches.
    """
    if intervention.blocks == "everywhere":
        return list(host.sites.everywhere())
    site: Site = intervention.site or vector.site
    if intervention.blocks == "all":
        return [(block, host.sites.check(site)) for block in range(host.info.blocks)]
    blocks = (vector.default_block,) if intervention.blocks == "default" else intervention.blocks
    return [(block, host.sites.check(site, block)) for block in blocks]


def _vector(name: str, vectors: Vectors) -> SteeringVector:
    if name not in vectors:
        raise SteeringError(
            f"The recipe names the vector '{name}'.",
            f"a vector on the shelf: {', '.join(vectors) or 'it is empty'}.",
            "Extract that vector first, or choose another.",
        )
    return vectors[name]


def _operation(
    intervention: Intervention, vector: SteeringVector, others: list[SteeringVector], block: int
) -> Operation:
    direction, strength = vector.directions[block], intervention.strength
    if intervention.mode == "add":
        return Add(direction, to_raw(strength, intervention.unit, vector, block))
    if intervention.mode == "ablate":
        if not others:
            return Ablate(direction, strength)
        return Ablate(torch.stack([direction, *(other.directions[block] for other in others)]), strength)
    if intervention.mode == "rotate":
        return Rotate(direction, strength)
    if intervention.mode == "erase":
        return _erase(vector, block)
    reference, moved = _reference(vector, block), to_raw(strength, intervention.unit, vector, block)
    if intervention.mode == "affine":
        return Affine(direction, reference, moved)
    return Clamp(direction, reference + moved, intervention.clamp)


def _erase(vector: SteeringVector, block: int) -> Erase:
    if vector.eraser is None:
        raise SteeringError(
            f"The vector '{vector.name}' has no eraser.",
            "a vector made by the method leace.",
            "Extract it with that method, or ablate its direction instead.",
        )
    eraser = vector.eraser
    return Erase(eraser.left[block][:, None], eraser.right[block][None], eraser.mean[block])


def _reference(vector: SteeringVector, block: int) -> float:
    if vector.references is None:
        raise SteeringError(
            f"The vector '{vector.name}' does not say where its negative side lies along it.",
            "a vector that was extracted from a contrast set: affine edits, clamps and gates count from there.",
            "Extract it again, or add or ablate it instead.",
        )
    return float(vector.references[block])


def _gate(settings: GateSettings, host: Host, vectors: Vectors) -> Gate:
    vector = _vector(settings.vector, vectors).check(host)
    block = vector.default_block if settings.block is None else host.sites.check_block(settings.block)
    threshold = _reference(vector, block) + to_raw(settings.threshold, settings.unit, vector, block)
    site = host.sites.check(settings.site or vector.site, block)
    return Gate(vector.directions[block], threshold, block, site, settings.side, settings.per)
