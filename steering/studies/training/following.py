"""The steps of trainings that go on, for whoever draws their curves meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from steering.studies.training.rows import Stepped
from steering.studies.training.tables import CURVE


class Followed:
    """Collects what a run of the study emits."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def take(self, emitted: Iterable[Any]) -> bool:
        """Take the steps among what was emitted; whether there were any."""
        steps = [each for each in emitted if isinstance(each, Stepped)]
        self._rows += [
            {"method": step.key, "title": step.title, **{name: step.point.get(name, math.nan) for name in CURVE}}
            for step in steps
        ]
        return bool(steps)

    @property
    def curve(self) -> pd.DataFrame:
        """The steps so far, as the table `curve` of a result has them."""
        return pd.DataFrame(self._rows, columns=["method", "title", *CURVE])
