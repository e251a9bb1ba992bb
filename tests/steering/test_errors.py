"""What is shown of a mistake: a message without our files in a notebook, and a traceback as ever in plain Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from steering.errors import SteeringError
from tests.conftest import ROOT


CELLS = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(history_length=0)
shell.run_cell('''
from steering.ranges import sweep

def mine():
    return sweep("1..2 step two")
''')
shell.run_cell("before = 1\\nmine()")
print("the other")
shell.run_cell("1 / 0")
"""


def ran(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    own = {"IPYTHONDIR": str(folder), "HOME": str(folder), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=own, cwd=folder)


def test_a_notebook_shows_the_message_and_the_cells_own_line(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    shown, others = ran(CELLS, tmp_path).stdout.split("the other")
    lines = shown.strip().splitlines()
    assert lines[0].startswith("SteeringError: ")
    assert "two" in lines[0]
    assert lines[1].startswith("Expected: ")
    assert lines[-1] == 'At line 4: return sweep("1..2 step two")'
    assert "Traceback" not in shown
    assert "ranges.py" not in shown
    assert "Traceback" in others  # of a mistake that is none of ours all is shown


def test_plain_python_shows_all_of_it(tmp_path: Path) -> None:
    said = ran('from steering.ranges import sweep\nsweep("1..2 step two")', tmp_path).stderr
    assert said.startswith("Traceback")
    assert "ranges.py" in said
    assert "steering.errors.SteeringError: " in said.splitlines()[-1]


def test_a_mistake_that_was_never_raised_has_no_line() -> None:
    assert SteeringError("It is wrong.", "right.", "Mend it.")._render_traceback_() == [
        "SteeringError: It is wrong.",
        "Expected: right.",
        "Mend it.",
    ]
