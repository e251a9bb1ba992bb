"""The wheel: built, installed outside the checkout, and able to do the main job there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]  # needs no network
    subprocess.run([*command, "--wheel-dir", str(out), str(ROOT)], check=True, cwd=out)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_three_packages_and_the_data_and_nothing_else(wheel) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"steering", "workbench", "panels"}
    for file in ("presets/contrast/formality.yaml", "assets/models/demo/model.safetensors", "assets/style.css"):
        assert f"steering/data/{file}" in names


JOB = """
import contextlib, io, json, runpy, sys
import panels, steering
print(steering.__file__, panels.__file__, sep="\\n")
steer = ["steer", "Write a note to my boss about the meeting.", "-v", "formality", "--json"]
for line in (["extract", "formality"], steer, ["panels"]):
    sys.argv = ["workbench", *line]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            runpy.run_path(sys.prefix + "/bin/workbench", run_name="__main__")
        except SystemExit as ended:
            assert not ended.code, said.getvalue()
    if line[0] != "extract":
        print(json.dumps(json.loads(said.getvalue())) if line is steer else said.getvalue())
"""
"""The installed command's own script, three times in one interpreter, since torch and Gradio take seconds to import."""


@pytest.mark.slow
def test_an_installed_wheel_extracts_and_steers_outside_the_checkout(wheel, tmp_path) -> None:
    """A fresh environment that gets the wheel itself; the heavy dependencies are borrowed from this one's
    site-packages.
    """
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-compile", str(wheel)], check=True)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    # A path in a .pth file is searched, but .pth files in it are not run: the editable checkout stays out of sight.
    Path(own, "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    clean["STEERING_WORKBENCH_HOME"] = str(tmp_path / "home")

    done = subprocess.run([str(python), "-c", JOB], capture_output=True, text=True, cwd=tmp_path, env=clean)
    assert done.returncode == 0, done.stderr
    *files, content, listed = done.stdout.split("\n", 3)
    assert all(path.startswith(str(environment)) for path in files)
    replies = json.loads(content)["replies"]
    assert replies[0]["text"] != replies[1]["text"]
    assert "steer" in listed
