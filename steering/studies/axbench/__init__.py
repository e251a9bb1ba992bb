"""Every way to a concept on one scale, in the manner of AxBench, with local judges."""

from __future__ import annotations

from steering.studies.axbench.axbench import STUDY


__all__ = ["STUDY"]
