"""How much a probing does, counted from its settings before it runs."""

from __future__ import annotations

from collections.abc import Sequence

from steering.model.host import Host
from steering.studies.probing.block import SHUFFLED_STARTS
from steering.studies.probing.settings import ProbeSettings
from steering.studies.size import Size, Work, tokens_of
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.studies.tradeoff.sizes import size_of as tradeoff_size
from steering.texts.statements import load_statements


_STEP, _CELL = 0.25e-3, 0.2e-9
"""Seconds of a step on one CPU core: whatever is trained, and for each number (statement x width x probe) in it."""
_PACE = {"cpu": 1.5}
"""Kind of device -> how long its blocks took, as a share of what the figures above say; unknown before any."""


def size_of(host: Host, settings: ProbeSettings) -> Size:
    """Readings of statements and of the cause's items, and the steps of CCS over all its trainings, at most.

    Raises:
        SteeringError: As `load_statements`; blocks that the model does not have; strengths that are not in order.
    """
    pairs = load_statements(settings.statements_on(host)).of(settings.formulation).first(settings.n).pairs
    texts = [text for pair in pairs for text in (pair.safe, pair.harmful)]
    alike = 1 + len(settings.controls)
    works = [Work("readings", 2 * alike * len(texts), tokens_of(texts))]
    for name in settings.cause:
        works += tradeoff_size(host, caused(settings, name)).works
    places = len(settings.blocks_on(host)) * len(settings.sites)
    trainings = [
        settings.restarts,
        min(settings.restarts, SHUFFLED_STARTS),
        *[settings.restarts] * len(settings.controls),
    ]
    steps = len(trainings) * settings.steps * places
    pace = _PACE.get(host.device.type)
    each = None if pace is None else pace * places * _seconds(host, settings, len(texts), trainings) / steps
    return Size((*works, Work("steps", steps, 0, each=each)), keeps=True)


def caused(settings: ProbeSettings, vector: str) -> TradeoffSettings:
    """The small trade-off that says whether a direction does anything.

    Raises:
        SteeringError: Strengths that are not in order.
    """
    added = {"vector": vector, "strength": 1.0, "unit": "residual_norm"}
    return TradeoffSettings.model_validate(
        {
            "recipes": [{"interventions": [added]}],
            "strengths": settings.cause_strengths,
            "compare": ("ablation",),
            "random": settings.cause_random,
            "alignment": settings.cause_measure,
            "also": (),
            "n": settings.cause_n,
            "seed": settings.seed,
        }
    )


def note_block(host: Host, settings: ProbeSettings, texts: int, controls: int, seconds: float) -> None:
    """Take in how long one place took with all its probes, so that the next run's time is told by it."""
    trainings = [settings.restarts, min(settings.restarts, SHUFFLED_STARTS), *[settings.restarts] * controls]
    _PACE[host.device.type] = seconds / _seconds(host, settings, texts, trainings)


def _seconds(host: Host, settings: ProbeSettings, texts: int, trainings: Sequence[int]) -> float:
    """Of one place on one core: every fold and all pairs together, each from every start."""
    probes = (settings.folds + 1) * sum(trainings)
    return settings.steps * (len(trainings) * _STEP + texts * host.info.width * probes * _CELL)
