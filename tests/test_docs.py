"""The documentation runs: the README's Python, the example panel, and every relative link."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import EntryPoint

import pytest

from steering import plugins
from tests.conftest import ROOT
from workbench.discovery import discover
from workbench.testing import checks_of
from workbench.testing.new_package import write_package


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def python_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_readmes_python_steers(capsys, tmp_path) -> None:
    script = tmp_path / "readme.py"
    script.write_text(python_of("README.md")[0])
    exec(compile(script.read_text(), script, "exec"), {})
    plain, steered = capsys.readouterr().out.splitlines()[:2]
    assert plain
    assert plain != steered


def test_the_demo_models_python_runs(capsys) -> None:
    for script in python_of("docs/demo-models.md"):
        exec(compile(script, "demo-models.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 tensor(")
    assert len(lines) == 4
    assert all(line.endswith(" True") for line in lines[1:])


def test_the_example_panel_is_found_and_keeps_what_it_promises(tmp_path, tiny_host) -> None:
    file = tmp_path / "norms.py"
    file.write_text(python_of("docs/panels.md")[0])
    catalogue = discover(tmp_path)
    assert not catalogue.broken
    panel = catalogue.get("norms")
    host = tiny_host("llama")
    result = host.run(lambda job: panel.run(host, panel.settings(skip=1), job), title="norms")
    table = result.tables["norms"]
    assert list(table["block"]) == [1, 2, 3]
    assert (table["norm"] > 0).all()
    outcomes = {each.name: each.outcome for each in checks_of(panel, source=str(file), browser=False)}
    assert set(outcomes.values()) == {"passed"}, outcomes
    page = (ROOT / "docs/panels.md").read_text(encoding="utf-8")
    assert all(f"| {name.replace('needs()', '`needs()`')} |" in page for name in outcomes if "models" not in name)


def test_the_package_on_the_page_is_what_the_command_writes(tmp_path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/panels.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    files = write_package("Norms", tmp_path / "norms")
    written = tomllib.loads(files[0].read_text(encoding="utf-8"))
    assert tomllib.loads(block)["project"]["entry-points"] == written["project"]["entry-points"]


def test_what_the_page_on_packages_adds_is_taken_by_every_registry(tmp_path, monkeypatch) -> None:
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    (tmp_path / "acme.py").write_text(python_of("docs/plugins.md")[0], encoding="utf-8")
    (points,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    offered = tomllib.loads(points)["project"]["entry-points"]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        plugins,
        "entry_points",
        lambda group: [EntryPoint(name, value, group) for name, value in offered.get(group, {}).items()],
    )
    for registry in plugins.registries().values():
        registry.look_again()
    try:
        found = {plugins.KINDS[kind].group: [*each.plugins] for kind, each in plugins.registries().items()}
        assert plugins.problems() == ()
        assert {group: names for group, names in found.items() if names} == {k: [*v] for k, v in offered.items()}
        assert all(f"`{kind.group}`" in text for kind in plugins.KINDS.values())
    finally:
        monkeypatch.undo()
        for registry in plugins.registries().values():
            registry.look_again()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
