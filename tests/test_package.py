"""The wheel: built, installed outside the checkout beside another's package, and able to do the main jobs there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser_support import SLOW, opened
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.plugins.sample_package import SAMPLE


WAIT = 600
"""Seconds before a command that does not end fails a test, on however busy a machine."""
JOB = """
import contextlib, io, json, os, runpy, sys
import panels, steering
import steering.model.host, steering.studies, workbench, gradio
groups = json.loads(sys.argv.pop())
for folder, variables, lines in groups:
    if os.fork():
        os.wait()
        continue
    os.environ.update(variables)
    os.chdir(folder)
    said = []
    for line in lines:
        sys.argv = ["workbench", *line]
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                runpy.run_path(sys.prefix + "/bin/workbench", run_name="__main__")
            except SystemExit as ended:
                code = ended.code or 0
        said.append([code, out.getvalue(), err.getvalue()])
    with open("said.json", "w") as file:
        json.dump(said, file)
    os._exit(0)
print(json.dumps([steering.__file__, panels.__file__]))
"""
"""The installed command's own script, several times: groups of command lines, each group in a fork of one interpreter
that has imported what takes seconds.
"""
LENGTHS = ["run", "lengths", "--set", "vector=formality", "--set", "times=2", "--out", "out"]
GROUPS: dict[str, tuple[dict[str, str], list[list[str]]]] = {
    "main": (
        {},
        [
            ["extract", "formality"],
            ["steer", "Write a note to my boss about the meeting.", "-v", "formality", "--json"],
            ["panels"],
            ["plugins", "--json"],
            LENGTHS,
        ],
    ),
    "off": ({"STEERING_WORKBENCH_PLUGINS": "off"}, [["plugins"], ["run", "lengths"]]),
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The own one, and that of another's package."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]  # needs no network
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT), str(SAMPLE)], check=True, cwd=folder)
    return sorted(folder.glob("*.whl"), key=lambda path: path.stat().st_size, reverse=True)


@pytest.fixture(scope="module")
def environment(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with both wheels; the heavy dependencies are borrowed from this one's site-packages."""
    folder = tmp_path_factory.mktemp("fresh")
    home = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-compile", "--no-index", *map(str, wheels)], check=True)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    # A path in a .pth file is searched, but .pth files in it are not run: the editable checkout stays out of sight.
    Path(own, "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return home


def _variables(home: Path, **others: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**clean, "STEERING_WORKBENCH_HOME": str(home), **others}


@dataclass(frozen=True)
class Told:
    """What the installed command said."""

    folder: Path
    files: list[str]
    """Where the packages were found."""

    def of(self, group: str) -> list[tuple[int, str, str]]:
        """Exit code, output and errors of each command line."""
        return [tuple(each) for each in json.loads((self.folder / group / "said.json").read_text())]

    def home(self, group: str) -> Path:
        """The workspace."""
        return self.folder / group / "home"


@pytest.fixture(scope="module")
def told(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """All groups, run."""
    folder, groups = tmp_path_factory.mktemp("told"), []
    for name, (variables, lines) in GROUPS.items():
        (folder / name).mkdir()
        own = {**variables, "STEERING_WORKBENCH_HOME": str(folder / name / "home")}
        groups.append((str(folder / name), own, lines))
    command = [str(environment / "bin" / "python"), "-c", JOB, json.dumps(groups)]
    clean = _variables(folder)
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=clean, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stderr
    return Told(folder, json.loads(done.stdout))


def test_the_wheel_holds_the_three_packages_and_the_data_and_nothing_else(wheels: list[Path]) -> None:
    own, _ = wheels
    names = zipfile.ZipFile(own).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"steering", "workbench", "panels"}
    for file in ("presets/contrast/formality.yaml", "assets/models/demo/model.safetensors", "assets/style.css"):
        assert f"steering/data/{file}" in names


@pytest.mark.slow
def test_an_installed_wheel_extracts_and_steers_outside_the_checkout_with_what_a_package_adds(
    environment: Path, told: Told
) -> None:
    assert all(path.startswith(str(environment)) for path in told.files)
    extracted, steered, panels, listed, ran = told.of("main")
    assert [each[0] for each in (extracted, steered, ran)] == [0, 0, 0], [each[2] for each in told.of("main")]
    replies = json.loads(steered[1])["replies"]
    assert replies[0]["text"] != replies[1]["text"]
    assert "steer" in panels[1]
    names = {each.get("name") for each in json.loads(listed[1])}
    assert {"lengths", "median", "shrink", "sorry", "brevity", "riddles", "shout", "count-blocks"} <= names
    assert (listed[0], panels[0]) == (1, 1), "of the four things in it that cannot be used, a panel among them"
    result = json.loads((told.folder / "main" / "out" / "result.json").read_text())
    assert result["origin"]["plugins"] == {"panel lengths": "steering-sample 1.2"}
    assert "States at every block.plotly.json" in result["files"]


@pytest.mark.slow
def test_what_a_package_adds_is_named_where_packages_are_off(told: Told) -> None:
    listed, gone = told.of("off")
    assert "off" in listed[2]
    assert gone[0] == 1
    assert "'lengths' was asked for" in " ".join(gone[2].split())


@pytest.fixture
def served(environment: Path, told: Told, tmp_path: Path) -> Iterator[str]:
    """The address of the installed command's page, with a vector on its shelf."""
    arguments = [str(environment / "bin" / "workbench"), "serve", "--port", "0", "--no-open", "--no-token"]
    own = _variables(told.home("main"), PYTHONUNBUFFERED="1")
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if found := re.search(r"http://[\w.]+:\d+/", line + "/"):
                    yield found[0]
                    break
            else:
                raise AssertionError("".join(said))
        finally:
            process.terminate()
            process.wait(timeout=WAIT)


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_of_a_packages_panel_is_filled_in_run_stopped_and_opened_again(browser: Any, served: str) -> None:
    with opened(browser, served, panel="lengths") as page:
        vector, times = page.locator("#lengths-vector-in"), page.locator("#lengths-times-in")
        expect(vector).to_have_value("formality")
        times.fill("9000")
        expect(page.locator("#lengths-times .sw-wrong")).to_contain_text("from 1 up to 500")
        times.fill("4")
        expect(page.locator("#lengths-times .sw-wrong")).to_be_hidden()
        expect(page.locator("#lengths-size")).to_contain_text("Up to 4 readings")
        page.locator("#lengths-kind").get_by_text("projection").click()
        page.locator("#lengths-run").click()
        expect(page.locator("#lengths-result")).to_contain_text("largest projection")
        expect(page.locator("#lengths-tables table tbody tr")).to_have_count(6)
        picture = page.locator("#lengths-figure-1 .sw-drawing svg")
        picture.scroll_into_view_if_needed()
        expect(picture).to_be_visible()
        page.locator("[data-shelve]").click()
        expect(page.locator(".sw-shelf")).to_contain_text("formality again")
        link = page.locator(".sw-run[data-run]").first.get_attribute("data-run")
        times.fill("500")
        page.locator("#lengths-run").click()
        expect(page.locator("#lengths-stop")).to_be_enabled()
        page.locator("#lengths-stop").click()
        expect(page.locator("#lengths-run")).to_be_enabled(timeout=SLOW)
    with opened(browser, served, panel="lengths", query=f"?run={link}") as page:
        expect(page.locator(".sw-was")).to_contain_text("Nothing was computed")
        expect(page.locator("#lengths-result")).to_contain_text("largest projection")
        expect(page.locator("#lengths-times-in")).to_have_value("4")
        expect(page.locator("#lengths-kind input:checked")).to_have_value("projection")
