"""The promises of docs/security.md are held by tests that are there."""

from __future__ import annotations

import ast
import re

from tests.conftest import ROOT


def test_every_test_that_a_promise_names_is_there() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    assert len(named) == len(set(named))  # each promise by tests of its own
    there = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert set(named) - there == set()
