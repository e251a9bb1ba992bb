"""Dictionaries of the workspace are at hand by their names, each visitor's for that visitor alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from steering.confines import Confines, confined
from steering.dictionaries.loading import dictionaries_at_hand, load_dictionary
from steering.errors import SteeringError
from steering.resources import resource
from workbench.workspace import Workspace


SHIPPED = resource("assets", "dictionaries", "demo", "block-1-sae")


@pytest.fixture
def own(tmp_path: Path) -> Workspace:
    """A workspace with a dictionary, a crosscoder and a training on its way."""
    home = Workspace(tmp_path / "one")
    shutil.copytree(SHIPPED, home.dictionaries / "mine")
    shutil.copytree(SHIPPED, home.dictionaries / ".half.partial")
    (home.dictionaries / "both").mkdir()
    (home.dictionaries / "both" / "cfg.json").write_text(json.dumps({"architecture": "crosscoder"}))
    return home


def test_a_dictionary_of_the_workspace_is_named_as_a_shipped_one_is(own: Workspace) -> None:
    names = dictionaries_at_hand()
    assert "mine" in names
    assert "demo/block-1-sae" in names
    assert "both" in names  # a crosscoder can be looked at
    assert ".half.partial" not in names
    found = load_dictionary("mine", width=192)
    assert (found.name, found.source, found.reads) == ("mine", "mine", (1, "block_output"))
    assert load_dictionary(found.source) is found


def test_a_visitor_finds_their_own_alone(own: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "two", apart=True)
    for home, theirs in ((own, True), (other, False)):
        page = Confines(tmp_path / "none", hub=False, models=frozenset(), dictionaries=home.dictionaries)
        with confined(page):
            assert ("mine" in dictionaries_at_hand()) == theirs
            for source in ("mine", str(own.dictionaries / "mine")):
                if theirs:
                    assert load_dictionary(source).reads == (1, "block_output")
                else:
                    with pytest.raises(SteeringError):
                        load_dictionary(source)
