"""The promises of docs/security.md are held by tests that are there."""

from __future__ import annotations

import ast
import re

from tests.conftest import ROOT


def test_every_test_that_a_promise_names_is_there() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    assert len(named) == len(set(named))  # each promise by tests of its own
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = {
        node.name
        for text in texts
        if any(f"def {name}(" in text for name in named)  # to parse all of them takes seconds
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    assert set(named) - there == set()
