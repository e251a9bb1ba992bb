from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from steering import plugins
from steering.errors import SteeringError
from steering.plugins import SWITCH
from workbench import discovery
from workbench.discovery import discover
from workbench.panel import Panel


PANEL = """
from workbench.panel import Panel

class Mine(Panel):
    id, title, summary, order = "{id}", "{title}", "Mine.", {order}
    def run(self, host, settings, job):
        return None

panel = Mine()
"""
BUILT_IN = ["vectors", "train", "steer", "grid", "refusal", "tradeoff", "probe", "features", "runs"]


class Packaged(Panel):
    """As an installed package would offer it."""

    id, title, summary, order = "packaged", "Packaged", "From a package.", 30

    def run(self, host, settings, job):  # type: ignore[no-untyped-def]
        return None


@pytest.fixture(autouse=True)
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to be installed beside the project is no part of these tests."""
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])


def _write(folder: Path, name: str, *, id: str, title: str = "Mine", order: float = 50) -> None:
    (folder / name).write_text(PANEL.format(id=id, title=title, order=order), encoding="utf-8")


def test_the_built_in_panels_come_in_the_order_of_the_work() -> None:
    found = discover()
    assert [panel.id for panel in found.panels] == BUILT_IN
    assert found.broken == ()


def test_a_folder_of_single_files_adds_panels_among_the_others(tmp_path: Path) -> None:
    _write(tmp_path, "early.py", id="early", order=15)
    _write(tmp_path, "_helper.py", id="helper")
    (tmp_path / "notes.txt").write_text("no panel")
    found = discover(tmp_path)
    assert [panel.id for panel in found.panels] == [
        "vectors",
        "early",
        "train",
        "steer",
        "grid",
        "refusal",
        "tradeoff",
        "probe",
        "features",
        "runs",
    ]
    assert found.sources["early"] == str(tmp_path / "early.py")
    assert found.get("early").title == "Mine"
    with pytest.raises(SteeringError, match="no panel 'helper'"):
        found.get("helper")


@pytest.mark.parametrize("value", ["test_discovery:Packaged", "test_discovery:packaged"])
def test_an_installed_package_offers_a_class_or_an_object(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setitem(globals(), "packaged", Packaged())
    point = EntryPoint("packaged", value, discovery.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == discovery.GROUP else [])
    found = discover()
    assert [panel.id for panel in found.panels] == [
        "vectors",
        "train",
        "steer",
        "grid",
        "packaged",
        "refusal",
        "tradeoff",
        "probe",
        "features",
        "runs",
    ]
    monkeypatch.setenv(SWITCH, "off")
    assert [panel.id for panel in discover().panels] == [
        "vectors",
        "train",
        "steer",
        "grid",
        "refusal",
        "tradeoff",
        "probe",
        "features",
        "runs",
    ]


def test_the_switch_leaves_a_folder_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "mine.py", id="mine")
    assert "mine" in discover(tmp_path).sources
    monkeypatch.setenv(SWITCH, "off")
    assert "mine" not in discover(tmp_path).sources


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('oh')", "RuntimeError: oh"),
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("def (", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("x = 1", "not an instance of Panel"),
        ("panel = 3", "not an instance of Panel"),
        (PANEL.format(id="Bad Id", title="x", order=1), "lower-case"),
    ],
    ids=["raises", "missing import", "syntax", "exits", "offers nothing", "offers a number", "bad id"],
)
def test_a_broken_panel_is_reported_and_stops_no_other(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken.py").write_text(text, encoding="utf-8")
    _write(tmp_path, "fine.py", id="fine")
    found = discover(tmp_path)
    assert [panel.id for panel in found.panels] == [
        "vectors",
        "train",
        "steer",
        "grid",
        "refusal",
        "fine",
        "tradeoff",
        "probe",
        "features",
        "runs",
    ]
    (problem,) = found.broken
    assert problem.source == str(tmp_path / "broken.py")
    assert said in str(problem.error)
    assert problem.error.remedy


def test_the_second_panel_with_an_id_is_refused_naming_both(tmp_path: Path) -> None:
    _write(tmp_path, "a.py", id="twin", title="First")
    _write(tmp_path, "b.py", id="twin", title="Second")
    _write(tmp_path, "c.py", id="vectors")
    found = discover(tmp_path)
    assert found.get("twin").title == "First"
    assert found.sources["vectors"] == "panels.vectors.panel"
    first, second = (str(problem.error) for problem in found.broken)
    assert str(tmp_path / "a.py") in first
    assert str(tmp_path / "b.py") in first
    assert "panels.vectors.panel" in second
    assert str(tmp_path / "c.py") in second


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    found = discover(tmp_path / "nowhere")
    assert [panel.id for panel in found.panels] == BUILT_IN
    assert "does not exist" in str(found.broken[0].error)
