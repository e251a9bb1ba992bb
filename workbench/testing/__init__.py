"""A conformance kit for panels: what a page, a script and other people's models ask of one, tried out.

In a package's own tests:

    from workbench.testing import check_panel

    def test_the_panel_keeps_what_it_promises():
        check_panel(panel)

`workbench panels check PATH` does the same, a line a check.
"""

from __future__ import annotations

from workbench.testing.check import check_panel, checks_of
from workbench.testing.models import random_vector, tiny_host
from workbench.testing.trial import Check


__all__ = ["Check", "check_panel", "checks_of", "random_vector", "tiny_host"]
