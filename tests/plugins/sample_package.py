"""The package of somebody else's in `sample/`, as installed: for tests that use it in this process."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from steering.plugins import KINDS, registries


SAMPLE = Path(__file__).parent / "sample"


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Have Python find the package, by what an installer would write of it.

    Args:
        folder: An empty one.
    """
    told = tomllib.loads((SAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"steering_sample-{told['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in points.items())])
        for group, points in told["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), str(SAMPLE / "src"), *sys.path])
        _look_again()
        try:
            yield
        finally:
            patch.undo()
            _look_again()
            for name in [name for name in sys.modules if name.partition(".")[0] == "steering_sample"]:
                del sys.modules[name]


def _look_again() -> None:
    assert {kind for kind, each in KINDS.items() if each.home} == set(registries())
    for registry in registries().values():
        registry.look_again()
