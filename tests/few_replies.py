"""KL is read on everyday replies beside all that a study reads: on few, where a test is about something else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from steering.recipes import nats
from steering.studies.axbench import axbench
from steering.studies.overoptimisation import measured
from steering.studies.tradeoff import further, sizes
from steering.training import everyday


OWN = 6
"""Everyday replies on which KL is read; and half of those on which strengths in nats are found."""


@contextmanager
def few_replies(own: int = OWN) -> Iterator[None]:
    """Within it the trade-off reads KL on `own` replies; strengths in nats are found, trainings held at their budget,
    and AxBench and over-optimisation read KL, on at most twice as many.
    """
    prompts = nats.calibration_prompts()[: 2 * own]
    with pytest.MonkeyPatch.context() as patch:
        for module in (further, sizes):
            patch.setattr(module, "OWN_REPLIES", own)
        for module in (nats, everyday, axbench, measured):
            patch.setattr(module, "calibration_prompts", lambda: prompts)
        yield
