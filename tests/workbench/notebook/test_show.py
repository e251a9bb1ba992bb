"""`wb.show`: a panel on the very model of the cells, what its handle knows, and what is said where it cannot."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gradio.networking
import httpx
import pytest
import torch

import workbench as wb
from steering.errors import SteeringError
from steering.lane import Job, Stopped
from steering.model.host import Host
from steering.model.sites import SITES
from steering.recipes.recipe import Intervention, Recipe
from steering.studies.grid import GridSettings
from steering.studies.steer import SteerSettings
from steering.studies.study import Measure, Result
from steering.vectors.vector import Provenance, SteeringVector
from tests.conftest import ROOT
from workbench.discovery import Catalogue
from workbench.notebook.served import served
from workbench.notebook.shelf import NotOnShelf
from workbench.notebook.show import _said
from workbench.notebook.shown import ShownPanel
from workbench.notebook.ways import PREFIX, PUBLIC
from workbench.panel import Panel
from workbench.runs.run import Run


@pytest.fixture(scope="module", autouse=True)
def here() -> Iterator[None]:
    """On this machine, whatever the suite runs in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(PREFIX, raising=False)
        patch.delenv(PUBLIC, raising=False)
        yield


@pytest.fixture(scope="module")
def host(tiny_host: Callable[[str], Host]) -> Host:
    return tiny_host("llama")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def page(host: Host, folder: Path) -> Iterator[ShownPanel]:
    shown = wb.show("steer", host, workspace=folder)
    yield shown
    shown.close()


class Quick(Panel):
    """A panel that is laid out at once, since a whole page takes seconds."""

    def __init__(self, id: str) -> None:
        self.id, self.title, self.summary = id, id.title(), "Nothing."

    def run(self, host: Host, settings: Any, job: Job[Any]) -> Result:
        raise NotImplementedError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two such panels."""
    found = Catalogue((Quick("steer"), Quick("grid")), {}, ())
    monkeypatch.setattr("workbench.bench.discover", lambda folder: found)


def vector(name: str = "mine", seed: int = 0) -> SteeringVector:
    rows = torch.nn.functional.normalize(torch.randn(4, 32, generator=torch.Generator().manual_seed(seed)), dim=1)
    known = Provenance.made_elsewhere(model="tiny-llama", method="drawn")
    return SteeringVector(
        name, rows, torch.ones(4), torch.full((4,), 2.0), None, None, None, SITES[0], 1, "given", 1.0, known
    )


def test_importing_the_workbench_loads_neither_torch_nor_gradio() -> None:
    code = "import sys, workbench as wb; assert 'show' in dir(wb); print({'torch', 'gradio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        wb.nonsense  # noqa: B018


def test_the_page_has_the_very_model_and_lane_of_the_cells(page: ShownPanel, host: Host, folder: Path) -> None:
    bench = served("steer", host).bench
    assert bench.host is host
    assert bench.lane is host.lane
    assert bench.workspace.folder == folder
    # A cell's job and one that a page asks for take turns: the second waits until the first has ended.
    order: list[str] = []
    first = host.submit(lambda job: order.append("cell"), title="A cell's")
    second = bench.lane.submit(lambda job: order.append("page"), title="A page's")
    first.result()
    second.result()
    assert order == ["cell", "page"]


def test_the_link_opens_the_panel_and_nothing_else_does(page: ShownPanel) -> None:
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        without = re.sub(r"\?.*", "", page.url)
        assert browser.get(without).status_code == 401
        answer = browser.get(page.url)
        assert answer.status_code == 200
        assert "<title>Steer" in answer.text or "window.gradio_config" in answer.text
        assert answer.url.path == "/steer"
        unknown = browser.get(without.replace("/steer", "/nothing"))
        assert (unknown.status_code, "There is no such page" in unknown.text) == (404, True)


def test_a_second_call_is_another_address_of_the_same_server(
    page: ShownPanel, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    other = wb.show("grid", host)
    again = wb.show(" trade-OFF ")  # by its title; of the model that was shown last
    assert capsys.readouterr().out.splitlines() == [f"Grid: {other.url}", f"Trade-off: {again.url}"]
    ports = {httpx.URL(each.url).port for each in (page, other, again)}
    assert len(ports) == 1
    assert httpx.URL(other.url).path == "/grid"


def test_the_frame_is_the_panel_alone_with_a_link_beside_it(page: ShownPanel) -> None:
    markup = page._repr_html_()
    assert markup
    source = html.unescape(re.findall(r'<iframe src="([^"]+)"', markup)[0])
    assert httpx.URL(source).params["bare"] == "1"
    assert html.unescape(re.findall(r'<a href="([^"]+)"', markup)[0]) == page.url
    assert page.url in repr(page)
    assert "<script" not in markup


def test_beside_the_frame_stands_what_it_showed(page: ShownPanel, host: Host) -> None:
    """As an exported notebook keeps it, whose frame stays empty."""
    recipe = Recipe(interventions=(Intervention(vector="<b>", strength=2.0),))
    shown = wb.show("steer", host, settings={"user": "Hello <i>."})
    left = re.sub(r"<iframe.*?</iframe>", "", shown._repr_html_() or "")
    said = html.unescape(re.sub(r"<[^>]+>", "", left))
    assert "Above: Steer on tiny-llama, " in said
    assert "opened with prompt “Hello <i>.”. Without its kernel" in said
    assert "page.run in a cell keeps" in said
    assert "<i>" not in left
    assert "recipe: Add <b>, 2 × " in _said(SteerSettings(user="", recipes=(recipe,)))


def test_in_a_notebook_the_frame_is_shown_once_in_its_cell(
    page: ShownPanel, host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = SimpleNamespace(kernel=object(), execution_count=7)
    shown: list[dict[str, str]] = []
    display = SimpleNamespace(display=lambda data, raw: shown.append(data))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    handle = wb.show("steer", host, settings={"user": "Hello."}, height=400)
    (data,) = shown
    assert 'height="400"' in data["text/html"]
    assert "take=" in data["text/html"]
    assert capsys.readouterr().out == f"Steer: {handle.url}\n"  # the frame takes what it opens with, the link does not
    assert handle._repr_html_() is None  # as the same cell's last line
    shell.execution_count = 8
    assert handle._repr_html_() == data["text/html"]


def test_a_vector_of_a_cell_is_on_the_shelf_and_the_other_way_round(page: ShownPanel, host: Host) -> None:
    shelf, seen = served("steer", host).bench.workspace, served("steer", host).bench.seen
    page.vectors["mine"] = vector()
    assert shelf.get("mine").vector.digest == vector().digest
    assert served("steer", host).bench.seen != seen  # by which pages notice
    shelf.put(vector("page's", 1))
    assert set(page.vectors) >= {"mine", "page-s"}
    assert page.vectors["mine"].name == "mine"
    assert "mine" in repr(page.vectors)
    assert "mine" in page.vectors._repr_html_()
    # Another one by the same name takes its place, and the first one can be had back.
    page.vectors["mine"] = vector("other", 2)
    assert page.vectors["mine"].digest == vector("other", 2).digest
    before = len(page.vectors)
    page.vectors["mine"] = vector("other", 2)
    assert len(page.vectors) == before
    del page.vectors["mine"]
    assert "mine" not in page.vectors
    assert page.vectors.get("mine") is None
    with pytest.raises(NotOnShelf, match="no vector 'mine'"):
        page.vectors["mine"]
    with pytest.raises(KeyError):
        del page.vectors["mine"]


@pytest.mark.parametrize(("name", "given"), [("a/b", vector()), ("", vector()), ("x", 3), (3, vector())])
def test_the_shelf_takes_vectors_under_names_that_files_can_have(page: ShownPanel, name: Any, given: Any) -> None:
    before = list(page.vectors)
    with pytest.raises(SteeringError, match="The shelf"):
        page.vectors[name] = given
    assert list(page.vectors) == before


def result() -> Result:
    return Result("steer", {}, (), {}, (Measure("times", 3.0, None, None, 1),), {}, "")


def test_the_latest_run_of_the_panel_is_the_handles(page: ShownPanel, host: Host) -> None:
    runs = page.runs
    assert page.run is None
    grid = runs.begin(Run("", "grid", "Another panel's", "tiny", panel="grid"))
    runs.end(grid, "done", result=result())
    assert page.run is None
    first = runs.begin(Run("", "steer", "Mine", "tiny", panel="steer"))
    with pytest.raises(SteeringError, match="“Mine” goes on"):
        page.run  # noqa: B018
    runs.end(first, "done", result=result())
    found = page.run
    assert found is not None
    assert found.measures[0].value == 3.0
    assert page.runs[first].run.title == "Mine"
    failed = runs.begin(Run("", "steer", "Late", "tiny", panel="steer"))
    runs.end(failed, "failed", error="The prompt is empty.")
    with pytest.raises(SteeringError, match=r"“Late” has left no result; it is failed: The prompt is empty\."):
        page.run  # noqa: B018
    runs.delete(failed)
    runs.delete(first)


def test_what_the_panel_opens_with_waits_for_its_page(page: ShownPanel, host: Host) -> None:
    bench = served("steer", host).bench
    recipe = Recipe(interventions=(Intervention(vector="tone", strength=2.0),))

    def sent(panel: str, **given: Any) -> Any:
        markup = wb.show(panel, host, vectors={"tone": vector("tone")}, **given)._repr_html_() or ""
        source = httpx.URL(html.unescape(re.findall(r'<iframe src="([^"]+)"', markup)[0]))
        taken = bench.sent.taken(source.params["take"])
        assert taken
        return taken.settings

    assert sent("steer", recipe=recipe).recipes == (recipe,)
    both = sent("steer", settings={"user": "Hello."}, recipe=recipe)
    assert (both.user, both.recipes) == ("Hello.", (recipe,))
    assert sent("grid", settings=GridSettings(user="Hi."), recipe=recipe).recipe == recipe
    assert sent("tradeoff", recipe=recipe).recipes == (recipe,)
    assert sent("refusal", settings={"n_train": 40}).n_train == 40
    assert "tone" in page.vectors


NOPE = Recipe(interventions=(Intervention(vector="nope"),))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"panel": "nonsense"},
            r"no panel 'nonsense'\. Expected: one of vectors, train, steer.* tradeoff \(Trade-off\)",
        ),
        ({"panel": 3}, "no panel '3'"),
        ({"host": "demo"}, r"as a str.*Host\.load\(NAME\)"),
        ({"height": 3}, "height 3"),
        ({"height": True}, "height True"),
        ({"settings": {"usr": "Hello."}}, "field usr: there is none"),
        (
            {"settings": {"recipes": [{"chatt": 1}]}},
            r"field chatt in the first of recipes: there is none\. Expected: one of interventions, decode",
        ),
        ({"settings": {"user": 3}}, "field user"),
        ({"recipe": NOPE}, "no vector 'nope' on the shelf"),
        ({"panel": "refusal", "recipe": NOPE}, "Refusal was to open with a recipe"),
        ({"panel": "runs", "settings": {}}, "Runs was to open with RunsSettings"),
        ({"panel": "steer", "settings": GridSettings()}, "Steer was to open with GridSettings"),
        ({"port": 1}, r"asked for port 1, not \d+"),
        ({"address": "/elsewhere/{port}"}, "asked for the address /elsewhere"),
        ({"address": "elsewhere"}, "neither a path nor an address"),
        ({"share": True}, "a link to share, which it has not"),
    ],
)
def test_what_cannot_be_shown_says_why(page: ShownPanel, host: Host, given: dict[str, Any], said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        wb.show(**{"panel": "steer", "host": host, **given})


@pytest.mark.usefixtures("quick")
def test_another_model_has_a_page_of_its_own_and_a_switch_on_the_page_is_undone(
    page: ShownPanel, host: Host, tiny_host: Callable[[str], Host], folder: Path
) -> None:
    second = tiny_host("gpt2")
    other = wb.show("steer", second, workspace=folder)
    assert httpx.URL(other.url).port != httpx.URL(page.url).port
    assert served("steer", second).bench.host is second
    assert served("steer", host).bench.host is host
    other.vectors["of both"] = vector("of both", 5)
    assert "of both" in page.vectors
    other.close()
    bench = served("steer", host).bench
    bench.model.put(second)  # as somebody who loads another one on the page
    assert wb.show("steer", host).url == page.url
    assert bench.host is host


@pytest.mark.usefixtures("quick")
def test_a_closed_page_says_so_and_a_new_call_serves_again(tiny_host: Callable[[str], Host], tmp_path: Path) -> None:
    host = tiny_host("qwen2")
    first, same = wb.show("steer", host, workspace=tmp_path), wb.show("grid", host)
    job = host.submit(until_stopped, title="Goes on")
    steps = ({} for _ in job.events())
    served("steer", host).bench.live.begin(steps, visitor="", panel="steer", of=lambda: (job, ""))
    address = first.url
    first.close()
    first.close()
    assert first.closed
    assert same.closed
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    for ask in (lambda: same.url, lambda: same.vectors, lambda: same.run, lambda: same.runs):
        with pytest.raises(SteeringError, match=r"The page of Grid is closed.*wb\.show\('grid', host=host\)"):
            ask()
    assert "closed" in repr(same)
    assert "<iframe" not in str(same._repr_html_())
    again = wb.show("grid", host, workspace=tmp_path)
    assert httpx.get(again.url).status_code == 303
    with pytest.raises(Stopped):
        job.result(timeout=60)
    assert host.run(lambda job: 3, title="The cells go on") == 3
    again.close()


def until_stopped(job: Job[None]) -> None:
    while True:
        job.check()
        torch.zeros(1).add_(1)


def test_without_a_model_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.notebook.served._SERVED", [])
    with pytest.raises(SteeringError, match=r"no model to show yet.*Host\.load"):
        wb.show("steer")


@pytest.mark.usefixtures("quick")
def test_a_link_to_share_is_made_only_when_asked_for_and_shuts_more(
    tiny_host: Callable[[str], Host],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[int] = []

    def tunnel(**given: Any) -> str:
        asked.append(given["local_port"])
        return "https://0123.gradio.live"

    monkeypatch.setattr(gradio.networking, "setup_tunnel", tunnel)
    host = tiny_host("opt")
    plain = wb.show("steer", host, workspace=tmp_path)
    assert not asked
    assert plain.shared_url == ""
    plain.close()
    shared = wb.show("steer", host, workspace=tmp_path, share=True)
    assert shared.shared_url.startswith("https://0123.gradio.live/steer?")
    assert shared.shared_url in capsys.readouterr().out
    local = httpx.URL(shared.url)
    assert asked == [local.port]
    there = {"host": "0123.gradio.live", "x-forwarded-proto": "https"}
    at = f"http://127.0.0.1:{local.port}/steer"
    assert httpx.get(at, headers=there).status_code == 401
    assert httpx.get(f"{at}?{local.query.decode()}", headers=there).status_code == 303
    bench = served("steer", host).bench
    assert bench.visitors_load == frozenset()  # others cannot switch the model
    assert not bench.only_here
    shared.close()


@pytest.mark.usefixtures("quick")
def test_a_link_to_share_that_cannot_be_had_says_so(
    tiny_host: Callable[[str], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tunnel(**given: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr(gradio.networking, "setup_tunnel", tunnel)
    with pytest.raises(SteeringError, match="Gradio's servers were not reached"):
        wb.show("steer", tiny_host("olmo2"), workspace=tmp_path, share=True)


@pytest.mark.usefixtures("quick")
def test_behind_a_proxy_the_page_answers_to_the_names_that_the_proxy_is_asked_by(
    tiny_host: Callable[[str], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX, "/user/ada/")
    shown = wb.show("steer", tiny_host("phi3"), workspace=tmp_path)
    path = httpx.URL(shown.url)
    port = served("steer", None).port
    assert path.path == f"/user/ada/proxy/{port}/steer"
    assert "jupyter-server-proxy" in (shown._repr_html_() or "")
    # The proxy leaves its path out when it asks, and says under which name it was asked.
    asked = {"host": "hub.example.org", "x-forwarded-proto": "https", "sec-fetch-dest": "iframe"}
    with httpx.Client(headers=asked, timeout=60) as browser:
        at = f"http://127.0.0.1:{port}/steer"
        opened = browser.get(f"{at}?{path.query.decode()}")
        assert opened.status_code == 303
        assert "Partitioned" in opened.headers["set-cookie"]
        cookie = opened.headers["set-cookie"].partition(";")[0]
        answer = browser.get(at, headers={"cookie": cookie})
        assert answer.status_code == 200
        assert f'"root":"https://hub.example.org/user/ada/proxy/{port}"' in answer.text.replace(" ", "")
    shown.close()


@pytest.mark.usefixtures("quick")
def test_in_colab_the_frame_has_a_cookie_of_its_own_and_posts_from_its_address(
    tiny_host: Callable[[str], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose proxy asks by a number and need not say that the browser's way to it is encrypted."""
    colab = ModuleType("google.colab")
    colab.output = SimpleNamespace(eval_js=lambda script: "https://abc-colab.example.com/")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    shown = wb.show("steer", tiny_host("mistral"), workspace=tmp_path)
    url = httpx.URL(shown.url)
    assert url.host == "abc-colab.example.com"
    at = f"http://127.0.0.1:{served('steer', None).port}"
    with httpx.Client(headers={"host": "172.28.0.12:9000"}, timeout=60) as proxy:
        asked = {"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        opened = proxy.get(f"{at}/steer?{url.query.decode()}", headers=asked)
        cookie = opened.headers["set-cookie"]
        assert cookie.endswith("SameSite=None; Secure; Partitioned")
        own = {"cookie": cookie.partition(";")[0], "sec-fetch-site": "same-origin"}
        page = proxy.get(f"{at}/steer", headers=own)
        assert '"root":"https://abc-colab.example.com"' in page.text.replace(" ", "")
        sent = {"data": [], "fn_index": 0, "session_hash": "somebody"}
        answers = [
            proxy.post(f"{at}/gradio_api/queue/join", json=sent, headers={**own, "origin": origin}).status_code
            for origin in ("https://abc-colab.example.com", "https://evil.example")
        ]
    assert answers[0] != 403
    assert answers[1] == 403
    shown.close()
