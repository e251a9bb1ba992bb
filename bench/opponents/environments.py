"""Environments of the libraries that we are held against, made once under `build/bench` and kept.

None of them is a dependency of the project: steering-vectors, repeng and dialz ask for transformers 4.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "bench"
_VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True)
class Environment:
    """Packages that live together."""

    name: str
    packages: tuple[str, ...]
    """Requirements beside torch, which is pinned as for the project."""
    needs: tuple[str, ...]
    """Names of packages whose versions are told."""

    @property
    def folder(self) -> Path:
        return KEPT / "environments" / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


def pinned(package: str) -> str:
    """The line of constraints.txt for a package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if line.startswith(f"{package}=="))


FIVE = Environment("transformers-5", (pinned("transformers"), "pyvene"), ("transformers", "pyvene"))
FOUR = Environment(
    "transformers-4",
    ("transformers<5", "steering-vectors", "repeng", "dialz", "ipython"),
    ("transformers", "steering-vectors", "repeng", "dialz"),
)
ENVIRONMENTS = (FIVE, FOUR)
LIBRARIES: dict[str, Environment | None] = {
    "raw hooks": None,
    "nnsight": None,
    "pyvene": FIVE,
    "steering-vectors": FOUR,
    "repeng": FOUR,
    "dialz": FOUR,
}
"""By library, where it lives; in our own environment where None."""


class Unavailable(Exception):
    """A library that cannot be had here, and why."""


def python_of(library: str) -> str:
    """The interpreter that has a library; its environment is made where there is none yet.

    Raises:
        Unavailable: It could not be installed.
    """
    environment = LIBRARIES[library]
    if environment is None:
        return sys.executable
    made(environment)
    return str(environment.python)


def made(environment: Environment) -> dict[str, str]:
    """Make an environment, or find it made; versions by package.

    Raises:
        Unavailable: Its packages could not be installed, now or the last time; `python -m bench.opponents --again`
            tries anew.
    """
    wanted = [pinned("torch"), *environment.packages]
    note = environment.folder.with_suffix(".json")
    told = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    if told.get("packages") != wanted or not (environment.python.exists() or told.get("failed")):
        told = {"packages": wanted, **_make(environment, wanted)}
        note.write_text(json.dumps(told), encoding="utf-8")
    if told.get("failed"):
        raise Unavailable(f"could not be installed: {told['failed']}")
    versions: dict[str, str] = told["versions"]
    return versions


def versions() -> dict[str, str]:
    """Versions of what each environment that stands holds, or why it holds nothing."""
    found = {}
    for environment in ENVIRONMENTS:
        try:
            found[environment.name] = ", ".join(f"{name} {number}" for name, number in made(environment).items())
        except Unavailable as error:
            found[environment.name] = str(error)
    return found


def _make(environment: Environment, wanted: list[str]) -> dict[str, object]:
    print(f"Making the environment {environment.name} ({', '.join(wanted)}); once, some minutes.", file=sys.stderr)
    environment.folder.parent.mkdir(parents=True, exist_ok=True)
    pip = [str(environment.python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile"]
    try:
        _call([sys.executable, "-m", "venv", "--clear", str(environment.folder)])
        _call([*pip, wanted[0]])  # first: a bare `torch` would drag in another build
        _call([*pip, *wanted])
        found = _call([str(environment.python), "-c", _VERSIONS, "torch", *environment.needs])
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if line.startswith("ERROR")] or error.stderr.splitlines()
        return {"failed": (said or ["no reason given"])[0][:300]}
    return {"versions": json.loads(found)}


def _call(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
