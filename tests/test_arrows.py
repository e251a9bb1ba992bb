"""Arrows between rooms point one way: panels, workbench, steering, and inside each as ARCHITECTURE.md orders them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT


ORDER = (
    "steering",
    "steering.figures",
    "steering.forms",
    "steering.loading",
    "steering.model",
    "steering.writes",
    "steering.dictionaries",
    "steering.passes",
    "steering.texts",
    "steering.vectors",
    "steering.recipes",
    "steering.engines",
    "steering.extraction",
    "steering.judges",
    "steering.origins",
    "steering.selfcheck",
    "steering.parts",
    "steering.demo",
    "steering.training",
    "steering.studies",
    "steering.demo.check",
    "workbench",
    "workbench.page",
    "workbench.controls",
    "workbench.frame",
    "workbench.space",
    "workbench.notebook",
    "workbench.testing",
    "workbench.cli",
    "workbench.__main__",
    "panels",
)
"""Every room, the ground first: a file imports from its own room and from those before it."""
ALLOWED = {
    # A loaded model checks itself, and the check is made of passes over a loaded model.
    ("steering.model.host", "steering.selfcheck.kept"),
}


def room_of(module: str) -> str:
    """The innermost room that a module lies in."""
    return max((room for room in ORDER if module == room or module.startswith(f"{room}.")), key=len)


def modules_of(root: Path) -> dict[str, Path]:
    """Every module of the three packages, by its dotted name."""
    files = [path for top in ("steering", "workbench", "panels") for path in (root / top).rglob("*.py")]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


Import = ast.Import | ast.ImportFrom


@cache
def imported(path: Path) -> tuple[tuple[Import, bool], ...]:
    """What a file imports anywhere in it, and whether under `if TYPE_CHECKING`, for its types alone."""
    return tuple(_imported(ast.parse(path.read_text(encoding="utf-8")), for_types=False))


def _imported(tree: ast.AST, *, for_types: bool) -> Iterator[tuple[Import, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Import):
            yield node, for_types
        elif not isinstance(node, ast.expr):  # no expression imports anything
            types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            yield from _imported(node, for_types=for_types or types)


def imports_of(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The project's modules that a file imports, at its top, in a function or for its types alone."""
    for node, _ in imported(path):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif node.module in known:
            inside = [f"{node.module}.{name.name}" for name in node.names]
            yield from (each if each in known else node.module for each in inside)


def wrong_arrows(root: Path) -> set[tuple[str, str]]:
    """Imports from a room that lies above: pairs of modules."""
    known = modules_of(root)
    return {
        (module, other)
        for module, path in known.items()
        for other in imports_of(path, known)
        if ORDER.index(room_of(other)) > ORDER.index(room_of(module)) and other != "steering"
    }


def circles(root: Path) -> list[set[str]]:
    """Groups of modules that import each other, by whichever way round; imports for types alone are left out."""
    known = modules_of(root)
    arrows = {module: set(imports_of(path, known)) - for_types(path, known) for module, path in known.items()}
    for module, other in ALLOWED:
        arrows.get(module, set()).discard(other)
    reach = {module: _reached(module, arrows) for module in arrows}
    return [
        group
        for module in sorted(arrows)
        if len(group := {other for other in reach[module] if module in reach[other]} | {module}) > 1
        and module == min(group)
    ]


def for_types(path: Path, known: dict[str, Path]) -> set[str]:
    """What a file imports under `if TYPE_CHECKING` alone."""
    return {node.module for node, types in imported(path) if types and isinstance(node, ast.ImportFrom)} & {*known}


def _reached(start: str, arrows: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for other in arrows[ahead.pop()] - seen:
            seen.add(other)
            ahead.append(other)
    return seen


def test_arrows_between_rooms_point_one_way() -> None:
    assert len(modules_of(ROOT)) > 250
    assert {room_of(module) for module in modules_of(ROOT)} == set(ORDER)
    assert wrong_arrows(ROOT) == ALLOWED


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(ROOT) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("steering/errors.py", "from steering.model.host import Host"),
        ("steering/model/host.py", "def late():\n    from steering.studies.study import Study"),
        ("steering/studies/study.py", "import workbench.bench"),
        ("workbench/panel.py", "from workbench.page.context import PanelContext"),
        ("workbench/page/jobs.py", "from panels.steer import panel"),
    ],
)
def test_a_planted_arrow_is_seen(tmp_path: Path, module: str, line: str) -> None:
    for name, path in modules_of(ROOT).items():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if str(path.relative_to(ROOT)) == module else ""
        kept = text if (name, "steering.selfcheck.kept") not in ALLOWED else ""
        copy.write_text(f"{kept}\n{line}\n" if str(path.relative_to(ROOT)) == module else text)
    planted = ".".join(Path(module).with_suffix("").parts)
    assert {arrow[0] for arrow in wrong_arrows(tmp_path)} == {planted}


def test_a_planted_circle_is_seen(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / "steering").mkdir(exist_ok=True)
        (tmp_path / "steering" / f"{name}.py").write_text(f"def late():\n    from steering.{other} import it\n")
    (tmp_path / "steering" / "__init__.py").touch()
    assert circles(tmp_path) == [{"steering.one", "steering.two"}]
