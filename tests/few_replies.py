"""KL is read on everyday replies beside all that a trade-off reads: on few, where a test is about something else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from steering.recipes import nats
from steering.studies.tradeoff import further, sizes


OWN = 6
"""Everyday replies on which KL is read; and half of those on which strengths in nats are found."""


@contextmanager
def few_replies() -> Iterator[None]:
    """Within it the trade-off reads KL on `OWN` replies, and strengths in nats are found on twice as many."""
    prompts = nats.calibration_prompts()[: 2 * OWN]
    with pytest.MonkeyPatch.context() as patch:
        for module in (further, sizes):
            patch.setattr(module, "OWN_REPLIES", OWN)
        patch.setattr(nats, "calibration_prompts", lambda: prompts)
        yield
