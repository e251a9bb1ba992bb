"""A Space tried before it is pushed: its environment made, its page served, a reply asked for as a visitor would."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from steering.errors import SteeringError
from workbench.space import pins
from workbench.space.visitor import Visitor, text_of


_START, _LOOK, _END = 900.0, 0.5, 20.0
"""Seconds until the page must answer, for which a model may be fetched; between two looks; until it has ended."""
_REQUIREMENTS = "requirements.txt"
_FILES = ("app.py", "README.md", _REQUIREMENTS)
_HEAD = ("title", "sdk", "sdk_version", "python_version", "app_file")
_STANDS = 'class="sw-name"'
"""In the model bar, where a model stands."""


@dataclass(frozen=True)
class Told:
    """One thing that was tried."""

    what: str
    good: bool
    detail: str = ""


def check_space(folder: Path, python: Path | None = None) -> Iterator[Told]:
    """Try a Space; ends with the first thing that is wrong.

    Args:
        folder: As `write_space` writes it.
        python: Of an environment that has what the Space needs; a new one is made where None, which takes minutes and
            gigabytes, since torch brings CUDA.

    Raises:
        SteeringError: The folder is no Space.
    """
    head, requirements = _read(folder)
    yield Told("README front matter", True, f"Gradio {head['sdk_version']}, Python {head['python_version']}")
    wrong = _unfit(head, requirements)
    yield Told("What ZeroGPU takes", not wrong, wrong or str(requirements["torch"]))
    if wrong:
        return
    with tempfile.TemporaryDirectory(prefix="space-check-") as made:
        if python is None:
            python = _environment(Path(made), folder, head)
            yield Told("A new environment", True, "installed from requirements.txt")
        yield from _driven(folder, python)


def _driven(folder: Path, python: Path) -> Iterator[Told]:
    with _served(folder, python) as served, Visitor(served.address, timeout=_START) as visitor:
        problem = _answers(visitor, lambda: "" if served.process.poll() is None else served.last_lines())
        yield Told("The page", not problem, problem or f"{len(visitor.pages)} pages, and a model stands")
        if not problem:
            yield _replied(visitor)


def _answers(visitor: Visitor, ended: Callable[[], str] = lambda: "") -> str:
    """Wait until the page answers and a model stands; gives what is wrong, "" where nothing is.

    Args:
        visitor: Who asks.
        ended: What the page said last, where it has ended by itself; "" where it goes on.
    """
    problem, end = "", time.monotonic() + _START
    while time.monotonic() < end:
        if last := ended():
            return f"It ended by itself: {last}"
        try:
            visitor.open("/")
        except SteeringError as error:
            problem = str(error)
        else:
            if visitor.errors():
                return " ".join(visitor.errors())
            if _STANDS in visitor.markup():
                return ""
            problem = "No model stands."
        time.sleep(_LOOK)
    return problem


def _replied(visitor: Visitor) -> Told:
    """A first vector and two replies, which the page Steer makes at one click; where there is none, another page."""
    began = time.monotonic()
    if "steer" not in visitor.pages:
        visitor.open(f"/{visitor.pages[1]}")
        return Told("A panel's page", not visitor.errors(), " ".join(visitor.errors()))
    try:
        visitor.open("/steer")
        for _ in visitor.press("start"):
            pass
    except SteeringError as error:
        return Told("A reply", False, str(error))
    texts = [text_of(str(pane["now"])) for pane in visitor.value("panes")]
    if visitor.errors() or len(texts) < 2 or not all(texts):
        return Told("A reply", False, " ".join(visitor.errors()) or "None was written.")
    return Told("A reply", True, f"after {time.monotonic() - began:.0f} s, steered: {texts[1][:100]}")


@dataclass
class _Served:
    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " / ".join(lines[-5:])[-1000:]


@contextmanager
def _served(folder: Path, python: Path) -> Iterator[_Served]:
    """The Space's page, served from its own folder by its own environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # its code is in its folder
    given = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [str(python), "app.py"], cwd=folder, env={**own, **given}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield _Served(f"http://127.0.0.1:{port}", process, Path(log.name))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment(made: Path, folder: Path, head: Mapping[str, Any]) -> Path:
    """An environment as the platform makes it; gives its Python.

    Raises:
        SteeringError: What the Space needs cannot be installed.
    """
    wanted = ".".join(str(head["python_version"]).split(".")[:2])
    python = next((each for each in (which(f"python{wanted}"), sys.executable) if each and _runs(each)), "python3")
    inside = made / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    platform = [f"gradio[oauth,mcp]=={head['sdk_version']}", "uvicorn>=0.14.0", "websockets>=10.4", "spaces"]
    for command in (
        [python, "-m", "venv", str(made / "env")],
        [str(inside), "-m", "pip", "install", "--quiet", *platform, "-r", str(folder / _REQUIREMENTS)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SteeringError(
                f"The Space's environment cannot be made: {done.stderr.strip()[-800:]}",
                f"packages that can be installed together on Python {wanted}.",
                "Mend requirements.txt, or name the Python of an environment that has them with --python.",
            )
    return inside


def _runs(python: str) -> bool:
    """Whether there is a Python behind a name; a version manager also has names of those that it leaves off."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Requirement]]:
    try:
        app, readme, lines = ((folder / name).read_text(encoding="utf-8") for name in _FILES)
    except OSError as error:
        raise SteeringError(
            f"'{folder}' is no Space: {Path(str(error.filename)).name} cannot be read.",
            f"a folder with {', '.join(_FILES)}.",
            "Make one with `workbench space new`.",
        ) from error
    front = re.match(r"---\n(.*?)\n---\n", readme, re.DOTALL)
    try:
        found = yaml.safe_load(front[1]) if front else None
    except yaml.YAMLError:
        found = None
    head: dict[str, Any] = found if isinstance(found, dict) else {}
    missing = [name for name in _HEAD if name not in head]
    if missing or head["sdk"] != "gradio":
        raise SteeringError(
            f"The README of '{folder}' does not say {', '.join(missing) or 'sdk: gradio'} in its front matter.",
            f"YAML between two lines of --- with {', '.join(_HEAD)}.",
            "Write it as `workbench space new` does.",
        )
    try:
        compile(app, "app.py", "exec")
    except SyntaxError as error:
        raise SteeringError(f"app.py, line {error.lineno}: {error.msg}.", "a program in Python.") from error
    try:
        asked = [Requirement(line) for line in lines.splitlines() if line.strip() and not line.startswith("#")]
    except InvalidRequirement as error:
        raise SteeringError(f"{_REQUIREMENTS} cannot be read: {error}.", "a package and a version a line.") from error
    return head, {canonicalize_name(each.name): each for each in asked}


def _unfit(head: Mapping[str, Any], requirements: Mapping[str, Requirement]) -> str:
    """What the platform does not take, "" where it takes all."""
    if str(head["python_version"]) not in pins.PYTHONS:
        return f"Python {head['python_version']}; it takes {' or '.join(pins.PYTHONS)}."
    if len(str(head.get("short_description", ""))) > pins.LONGEST:
        return f"A short description of more than {pins.LONGEST} characters."
    own = [name for name in pins.PLATFORM if name in requirements]
    if own:
        return f"{', '.join(own)} in {_REQUIREMENTS}: the platform installs it, in the version that the README names."
    torch = requirements.get("torch")
    if torch is None or not any(torch.specifier.contains(f"{each}.0") for each in pins.TORCHES):
        return f"{torch or 'any torch'}; it takes {pins.TORCHES[0]} to {pins.TORCHES[-1]}."
    return ""
