"""Does the demo family do what its bars ask? Measured afresh, on held-out prompts, through the host."""

from __future__ import annotations

from steering.demo.bars import BARS, Bar, Measure, Verdict, judge
from steering.demo.check.report import FULL, QUICK, Loader, Sizes, check, members


__all__ = ["BARS", "FULL", "QUICK", "Bar", "Loader", "Measure", "Sizes", "Verdict", "check", "judge", "members"]
