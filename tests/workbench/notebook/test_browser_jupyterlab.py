"""JupyterLab in Chromium: cells run, a panel below a cell, steering in it, and what it made back in Python.

`make notebook` runs this against a wheel in an environment of its own, whose Python `STEERING_JUPYTER` names.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from browser_support import SLOW
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.conftest import ROOT


pytestmark = [pytest.mark.browser, pytest.mark.slow]
FRESH = os.environ.get("STEERING_JUPYTER", "")
PYTHON = FRESH or sys.executable


CELLS = (
    """
from time import sleep
import workbench as wb
from steering import Host, SteeringError

host = Host.load("demo")
page = wb.show("steer", host=host)
""",
    """
def found():
    try:
        return page.run
    except SteeringError:  # it goes on, while the page shows its end already
        return None

while (result := found()) is None:
    sleep(0.1)
vector = page.vectors["formality"]
print("study", result.study, "of", result.model["name"])
print("vector", vector.provenance.contrast, tuple(vector.directions.shape))
print("library", wb.__file__)
""",
    """
page.vectors["from a cell"] = vector
print("kept", sorted(page.vectors))
""",
    """
page.close()
page
""",
)


@dataclass(frozen=True)
class Lab:
    """A JupyterLab and how a browser finds it."""

    address: str
    token: str
    base: str

    def page_of(self, notebook: str, *, host: str = "localhost") -> str:
        port = httpx.URL(self.address).port
        return f"http://{host}:{port}{self.base}lab/tree/{notebook}?token={self.token}"


@contextmanager
def lab(folder: Path, *, base: str = "/", **environment: str) -> Iterator[Lab]:
    """JupyterLab on a free port, with a notebook of `CELLS`, whose kernels have an empty workspace."""
    _installed("jupyterlab")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each.strip()) for each in CELLS])
    notebook.metadata.kernelspec = kernel
    (folder / "cells").mkdir()
    nbformat.write(notebook, folder / "cells" / "first.ipynb")
    found = Lab(f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16), base)
    own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "STEERING_WORKBENCH_HOME": str(folder / "home"), **environment}
    known = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    own |= {} if FRESH else {"PYTHONPATH": str(ROOT)}
    options = {
        "ServerApp.port": httpx.URL(found.address).port,
        "ServerApp.root_dir": folder / "cells",
        "ServerApp.base_url": base,
        "IdentityProvider.token": found.token,
        "LabApp.expose_app_in_browser": True,
        "LabApp.news_url": "",
    }
    command = [PYTHON, "-m", "jupyterlab", "--no-browser", "--allow-root", *(f"--{k}={v}" for k, v in options.items())]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env={**known, **own}, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        _wait_for(f"{found.address}{base}api/status?token={found.token}", process, folder / "log")
        yield found
    finally:
        process.terminate()
        process.wait(timeout=60)


def _installed(module: str) -> None:
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    if subprocess.run([PYTHON, "-c", look], check=False).returncode:
        pytest.skip(f"{module} is not installed; `make notebook` runs this with it")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SLOW / 1000
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(address).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The notebook in JupyterLab, with a kernel that is ready."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(SLOW)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: complaints.append(answer.url) if _refused(answer) else None)
    try:
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        page.locator(".jp-CodeCell .cm-content").first.click()
        yield page
        assert not complaints
    finally:
        context.close()


def _refused(answer: Any) -> bool:
    """Whether the workbench refused what its own page asked for."""
    return answer.status in (401, 403) and ("gradio_api" in answer.url or "/steer" in answer.url)


def run_cell(page: Page, number: int) -> str:
    """Run the next cell, and give what it printed."""
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell-and-select-next'); }")
    cell = page.locator(".jp-CodeCell").nth(number)
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))
    assert not cell.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()
    return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())


def steer(page: Page) -> FrameLocator:
    """Make the first vector in the panel below the first cell, and steer with it."""
    frame = page.frame_locator("iframe[title='Steering Workbench, Steer']")
    frame.locator("#start").wait_for()
    expect(frame.locator(".sw-nav nav")).to_be_hidden()  # the panel alone
    expect(frame.locator(".sw-topbar").first).to_be_hidden()
    frame.get_by_role("button", name="Extract formality and steer").click()
    expect(frame.locator(".sw-run[data-run]").first).to_be_visible()
    return frame


def work_through(page: Page) -> None:
    said = run_cell(page, 0)
    assert "Steer: " in said
    frame = steer(page)
    back = run_cell(page, 1)
    assert "study steer of demo" in back
    assert "vector formality (6, 192)" in back
    if FRESH:
        assert str(Path(FRESH).parent.parent) in back
    assert "kept ['formality', 'from a cell']" in run_cell(page, 2)
    expect(frame.locator("#vector-a1 option[value='from a cell']")).to_have_count(1)
    assert "closed" in run_cell(page, 3)
    assert len(page.locator("iframe").all()) == 1  # a closed page is no frame


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_panel_below_a_cell_steers_on_the_model_of_the_cells(browser: Browser, tmp_path: Path, host: str) -> None:
    """Under 127.0.0.1 the frame, which is localhost's, is one of another site: without the cookies of its visitor, and
    perhaps without any storage.
    """
    with lab(tmp_path) as found, opened(browser, found.page_of("first.ipynb", host=host)) as page:
        work_through(page)


def test_behind_a_hub_the_frame_goes_through_its_proxy(browser: Browser, tmp_path: Path) -> None:
    _installed("jupyter_server_proxy")
    hub = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    with lab(tmp_path, base="/user/ada/", **hub) as found, opened(browser, found.page_of("first.ipynb")) as page:
        work_through(page)
        source = page.locator("iframe").get_attribute("src") or ""
        assert re.match(r"/user/ada/proxy/\d+/steer\?", source)
