"""Folders that go with their program, and those of programs that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from workbench.temporary import passing_folder


CODE = """
import sys
from workbench.temporary import passing_folder
print(passing_folder("some-"), flush=True)
if sys.argv[1] == "wait":
    sys.stdin.read()
"""


def started(folder: Path, then: str) -> tuple[subprocess.Popen[str], Path]:
    own = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    program = subprocess.Popen([sys.executable, "-c", CODE, then], env=own, **pipes)  # type: ignore[call-overload]
    return program, Path(program.stdout.readline().strip())


def test_what_a_killed_program_left_goes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living, its = started(tmp_path, "wait")
    killed, left = started(tmp_path, "wait")
    ended, gone = started(tmp_path, "end")
    ended.wait(60)
    assert not gone.exists()
    try:
        (left / "deep").mkdir()
        (left / "deep" / "file").write_text("x")
        others = tmp_path / "some-thing"  # without a lock: of something else
        others.mkdir()
        killed.kill()
        killed.wait(60)
        assert left.exists()
        passing_folder("some-")
        assert left.exists()  # so young that its lock may not be held yet
        for folder in (left, its, others):
            os.utime(folder, (time.time() - 3600,) * 2)
        (tmp_path / "some-link").symlink_to(left)
        new = passing_folder("some-")
        assert not left.exists()
        assert its.exists()
        assert others.exists()
        assert new.stat().st_mode & 0o777 == 0o700
    finally:
        living.communicate(timeout=60)
    assert not its.exists()
