"""From one intervention and the vectors that it names to writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from steering.dictionaries.edits import EditFeatures
from steering.dictionaries.normed import on_model
from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.sites import Place, Site
from steering.recipes.features import feature_of
from steering.recipes.modes import MODES, Aim, operation_of, reference_of
from steering.recipes.recipe import GateSettings, Intervention
from steering.vectors.strength import to_raw
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Operation


Vectors = Mapping[str, SteeringVector]


def writes_of(intervention: Intervention, host: Host, vectors: Vectors) -> list[Write]:
    """The writes of one intervention, in forward order of its places.

    Raises:
        SteeringError: A vector that is missing, does not fit or lacks what the mode needs; a block or site that the
            model does not have; a strength outside its range; a gate behind what it gates; a feature's dictionary that
            is gone or changed, or another place than its own.
    """
    vector = _vector(intervention.vector, vectors).check(host)
    others = [_vector(name, vectors).check(host) for name in intervention.others]
    gate = _gate(intervention.gate, host, vectors) if intervention.gate else None
    writes, made = [], dict[int, Operation]()
    for block, site in places_of(intervention, host, vector):
        source = vector.default_block if intervention.blocks == "everywhere" else block
        if source not in made:  # one operation at many places is moved to a device once
            made[source] = _operation(intervention, host, vector, others, source)
        writes.append(Write(made[source], block, site, intervention.scope, gate))
    return writes


def places_of(intervention: Intervention, host: Host, vector: SteeringVector) -> list[Place]:
    """The blocks and sites that an intervention writes.

    Raises:
        SteeringError: A block that the model does not have, a site that a block does not have, or everywhere where
            something enters the stream that no site reaches.
    """
    if MODES[intervention.mode].feature:
        _check_own_place(intervention, vector)
    if intervention.blocks == "everywhere":
        return list(host.sites.everywhere())
    site: Site = intervention.site or vector.site
    if intervention.blocks == "all":
        return [(block, host.sites.check(site)) for block in range(host.info.blocks)]
    blocks = (vector.default_block,) if intervention.blocks == "default" else intervention.blocks
    return [(block, host.sites.check(site, block)) for block in blocks]


def _check_own_place(intervention: Intervention, vector: SteeringVector) -> None:
    """Features are changed where their dictionary gives its states: elsewhere it would read what it does not know."""
    feature_of(vector)
    block, site = vector.default_block, vector.site
    if intervention.blocks not in ("default", (block,)) or intervention.site not in (None, site):
        asked = intervention.blocks
        at = asked if isinstance(asked, str) else ", ".join(map(str, asked))
        raise SteeringError(
            f"'{intervention.vector}' was to be changed at blocks {at}, {intervention.site or site}.",
            f"its dictionary's own place: block {block}, {site}.",
            "Leave block and site as they are, or add the vector, which can be added anywhere.",
        )


def _vector(name: str, vectors: Vectors) -> SteeringVector:
    if name not in vectors:
        raise SteeringError(
            f"The recipe names the vector '{name}'.",
            f"a vector on the shelf: {', '.join(vectors) or 'it is empty'}.",
            "Extract that vector first, or choose another.",
        )
    return vectors[name]


def _operation(
    intervention: Intervention, host: Host, vector: SteeringVector, others: list[SteeringVector], block: int
) -> Operation:
    mode, strength = MODES[intervention.mode], intervention.strength
    if mode.length:
        strength = to_raw(strength, intervention.unit, vector, block)
    made = operation_of(intervention.mode, Aim(vector, block, strength, tuple(others), intervention.clamp))
    return replace(made, dictionary=on_model(made.dictionary, host)) if isinstance(made, EditFeatures) else made


def _gate(settings: GateSettings, host: Host, vectors: Vectors) -> Gate:
    vector = _vector(settings.vector, vectors).check(host)
    block = vector.default_block if settings.block is None else host.sites.check_block(settings.block)
    threshold = reference_of(vector, block) + to_raw(settings.threshold, settings.unit, vector, block)
    site = host.sites.check(settings.site or vector.site, block)
    return Gate(vector.directions[block], threshold, block, site, settings.side, settings.per)
