"""Where a browser finds the page: on this machine, behind a JupyterHub, in Colab, and where somebody says."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from steering.errors import SteeringError
from workbench.host_names import Names
from workbench.notebook.ways import PREFIX, PUBLIC, Way, way_to


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a hub nor Colab, whatever the suite runs in."""
    monkeypatch.delenv(PREFIX, raising=False)
    monkeypatch.delenv(PUBLIC, raising=False)
    monkeypatch.setitem(sys.modules, "google.colab", None)


def test_on_this_machine_it_is_localhost_under_which_jupyter_opens_itself() -> None:
    assert way_to(7860) == Way("http://localhost:7860")


def test_behind_a_hub_it_is_below_the_path_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX, "/user/ada/")
    found = way_to(7860)
    assert (found.address, found.root_path, found.proxied) == ("/user/ada/proxy/7860",) * 2 + (True,)
    assert "jupyter-server-proxy" in found.note
    monkeypatch.setenv(PUBLIC, "https://hub.example.org:8443/user/ada/")
    assert way_to(7860).address == "https://hub.example.org:8443/user/ada/proxy/7860"
    assert way_to(7860).root_path == "/user/ada/proxy/7860"


def test_in_colab_its_page_is_asked_for_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def eval_js(script: str) -> str:
        asked.append(script)
        return "https://abc-7860-colab.example.com/"

    colab = ModuleType("google.colab")
    colab.output = SimpleNamespace(eval_js=eval_js)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setenv(PREFIX, "/user/ada/")  # of no account there
    found = way_to(7860)
    assert found.address == found.root_path == "https://abc-7860-colab.example.com"
    assert "proxyPort(7860" in asked[0]
    # Colab's proxy asks under a name of its own; posts come from the page's address all the same.
    names = Names.of("127.0.0.1", behind=found.address)
    assert names.has("anything")
    assert "abc-7860-colab.example.com" in names.named
    assert names.only_here


def test_what_somebody_says_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX, "/user/ada/")
    assert way_to(7860, "/jupyter/proxy/{port}/") == Way("/jupyter/proxy/7860", "/jupyter/proxy/7860", proxied=True)
    whole = way_to(7860, "https://example.org/{port}")
    assert (whole.address, whole.root_path) == ("https://example.org/7860",) * 2
    for wrong in ("example.org", "ftp://example.org", "", "javascript:alert(1)"):
        with pytest.raises(SteeringError, match="neither a path nor an address"):
            way_to(7860, wrong)


def test_a_page_of_this_machine_alone_still_knows_its_names() -> None:
    names = Names.of("127.0.0.1")
    assert names.has("localhost")
    assert not names.has("evil.example")
    shared = Names.of("127.0.0.1", shared=True)
    assert shared.has("abc.gradio.live")
    assert not shared.only_here
