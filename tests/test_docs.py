"""The documentation runs: the README's Python, the example panel, and every relative link."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from workbench.discovery import discover


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


def test_the_example_panel_is_found_and_runs(tmp_path, tiny_host) -> None:
    (tmp_path / "norms.py").write_text(python_of("docs/panels.md")[0])
    catalogue = discover(tmp_path)
    assert not catalogue.broken
    panel = catalogue.get("norms")
    host = tiny_host("llama")
    job = host.submit(lambda job: panel.run(host, panel.settings(), job), title="norms")
    table = job.result().tables["norms"]
    assert list(table["block"]) == [0, 1, 2, 3]
    assert (table["norm"] > 0).all()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
