"""A page behind a proxy that shows it below a path: everything that the page asks for stands below that path, too."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.conftest import NO_TOKEN
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch


PREFIX = "/deep/bench"


class Proxy(BaseHTTPRequestHandler):
    """Takes the prefix away, asks the workbench, and passes all of the answer on as it comes."""

    upstream = ""

    def _pass_on(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        url = self.upstream + self.path.removeprefix(PREFIX)
        with httpx.stream(self.command, url, headers=headers, content=body, timeout=60) as answer:
            self.send_response(answer.status_code)
            for name, value in answer.headers.multi_items():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            for chunk in answer.iter_raw():
                self.wfile.write(chunk)
                self.wfile.flush()

    do_GET = do_POST = _pass_on

    def log_message(self, *given: Any) -> None:
        """Nothing on the console."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the page behind the proxy. No model is loaded: none of this needs one."""
    bench = Workbench(workspace=tmp_path_factory.mktemp("home"))
    bench.model.load = lambda *given: None  # type: ignore[method-assign, assignment, return-value]
    page = launch(
        entrance=Entrance(port=0, root_path=f"{PREFIX}/", token=NO_TOKEN), bench=bench, prevent_thread_lock=True
    )
    Proxy.upstream = str(page.local_url).rstrip("/")
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{proxy.server_address[1]}{PREFIX}"
    proxy.shutdown()
    proxy.server_close()
    page.close(verbose=False)
    bench.lane.close()


@pytest.fixture
def visitor() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        yield client


def config(page: str) -> dict[str, Any]:
    """What Gradio writes into a page for its script."""
    found = re.search(r"window\.gradio_config\s*=\s*(\{.*?\});</script>", page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize("path", ["/", "/steer", "/steer?bare=1", "/glossary"])
def test_a_page_and_all_that_it_loads_stand_below_the_path(visitor: httpx.Client, address: str, path: str) -> None:
    answer = visitor.get(address + path)
    assert answer.status_code == 200
    assert config(answer.text)["root"] == address
    base = httpx.URL(address + path)
    asked = re.findall(r'(?:src|href)="([^"#]+\.(?:js|css))"', answer.text)
    assert asked
    for each in asked[:6]:
        url = base.join(each)
        assert str(url).startswith(f"{address}/"), each
        assert visitor.get(url).status_code == 200, each


def test_links_between_pages_stay_below_the_path(visitor: httpx.Client, address: str) -> None:
    page = config(visitor.get(f"{address}/steer").text)
    markup = " ".join(str(each["props"].get("value")) for each in page["components"] if each["type"] == "html")
    links = set(re.findall(r'href="(\./[^"]*)"', markup))
    assert {"./", "./vectors"} <= links
    for link in links:
        assert visitor.get(httpx.URL(f"{address}/steer").join(link)).status_code == 200, link


def test_an_event_goes_through_and_its_answer_comes_back(visitor: httpx.Client, address: str) -> None:
    page = config(visitor.get(f"{address}/vectors").text)
    opening = next(each for each in page["dependencies"] if any(event == "load" for _, event in each["targets"]))
    sent = {
        "data": [None] * len(opening["inputs"]),
        "fn_index": opening["id"],
        "session_hash": "somebody",
        "event_data": None,
    }
    assert visitor.post(f"{address}/gradio_api/queue/join", json=sent).status_code == 200
    with visitor.stream("GET", f"{address}/gradio_api/queue/data", params={"session_hash": "somebody"}) as lines:
        said = [json.loads(line[5:]) for line in lines.iter_lines() if line.startswith("data:")]
    ended = [each for each in said if each["msg"] == "process_completed"]
    assert ended
    assert ended[0]["success"]
    assert len(ended[0]["output"]["data"]) == len(opening["outputs"])


@pytest.mark.parametrize("path", ["/nothing", "/nothing/more"])
def test_from_an_unknown_page_a_link_leads_to_the_start_page(visitor: httpx.Client, address: str, path: str) -> None:
    answer = visitor.get(address + path)
    assert answer.status_code == 404
    (link,) = re.findall(r'href="([^"]+)"', answer.text)
    assert str(httpx.URL(address + path).join(link)) == f"{address}/"


def test_without_the_path_there_is_nothing(visitor: httpx.Client, address: str) -> None:
    assert visitor.get(address.removesuffix(PREFIX) + "/steer").status_code == 404
