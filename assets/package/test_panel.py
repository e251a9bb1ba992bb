from __future__ import annotations

from $module.panel import panel
from workbench.testing import check_panel, tiny_host


def test_the_panel_keeps_what_pages_and_scripts_ask_of_it() -> None:
    check_panel(panel)


def test_it_measures_every_block() -> None:
    host = tiny_host("llama")
    result = host.run(lambda job: panel.run(host, panel.settings(), job), title=panel.title)
    assert len(result.tables["norms"]) == host.info.blocks
