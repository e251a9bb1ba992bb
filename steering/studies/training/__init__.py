"""Vectors that are trained on preferences, several losses side by side at equal KL."""

from __future__ import annotations

from steering.studies.training.study import STUDY


__all__ = ["STUDY"]
