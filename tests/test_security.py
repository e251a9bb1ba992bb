"""The promises of docs/security.md are held by tests that are there."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def test_every_test_that_a_promise_names_is_there() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    assert len(named) == len(set(named))  # each promise by tests of its own
    files = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^ *def (test_\w+)\(", files, flags=re.MULTILINE))
    assert set(named) - there == set()
