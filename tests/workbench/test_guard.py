"""Who may speak to a served page: names, pages of other servers, what is open, how much may be sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import NO_TOKEN
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.serving import SESSIONS
from workbench.frame.shell import launch
from workbench.host_names import Names


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, int, Any]]:
    """A served page on 127.0.0.1, its port, and what Gradio serves. Its model cannot be found, which is quick."""
    bench = Workbench(workspace=tmp_path_factory.mktemp("guarded"))
    none = str(tmp_path_factory.mktemp("none") / "no-model")
    served = launch(none, Entrance(port=0, token=NO_TOKEN), bench=bench, prevent_thread_lock=True)
    yield bench, int(urlsplit(str(served.local_url)).port or 0), served
    served.close(verbose=False)
    bench.lane.close()


class Answer:
    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode(errors="replace")


def ask(port: int, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {"Host": f"127.0.0.1:{port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.request(method, path, body, sent)
        return Answer(connection.getresponse())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def cookie(page: tuple[Workbench, int, Any]) -> str:
    answer = ask(page[1])
    assert answer.status == 200
    assert "HttpOnly; SameSite=Lax" in answer.headers["set-cookie"]
    return str(answer.headers["set-cookie"]).partition(";")[0]


PATHS = ["/", "/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x", "/gradio_api/heartbeat/x"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.", "", "["])
def test_another_name_is_refused_everywhere(page, path: str, host: str) -> None:
    if host == "localhost.":
        assert ask(page[1], "/", Host=host).status == 200  # with its root: the same name
        return
    answer = ask(page[1], path, Host=host)
    assert answer.status == 403
    assert "--allow-host" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_name_that_a_proxy_hands_on_counts_as_well(page) -> None:
    assert ask(page[1], X_Forwarded_Host=f"localhost:{page[1]}").status == 200
    answer = ask(page[1], X_Forwarded_Host="evil.example")
    assert answer.status == 403
    assert "--allow-host" in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:7860"])
def test_the_names_of_this_machine_are_answered(page, host: str) -> None:
    assert ask(page[1], Host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "http://[", "http://a@127.0.0.1"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_other_servers_are_refused(page, cookie: str, origin: str, method: str) -> None:
    headers = {"Origin": origin, "Cookie": cookie, "Content-Type": "application/json"}
    answer = ask(page[1], "/gradio_api/queue/join", method, b"{}", **headers)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert ask(page[1], "/gradio_api/heartbeat/x", "GET", None, Origin=origin).status == 403


@pytest.mark.parametrize("kind", ["cross-site", "same-site"])
def test_what_a_browser_calls_a_request_from_elsewhere_is_refused(page, cookie: str, kind: str) -> None:
    def info(**headers: str) -> int:
        return ask(page[1], "/gradio_api/info", Cookie=cookie, **headers).status

    assert info(Sec_Fetch_Site=kind, Sec_Fetch_Mode="no-cors") == 403
    assert ask(page[1], "/", Sec_Fetch_Site=kind, Sec_Fetch_Mode="navigate").status == 200  # a link to the page
    assert info(Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors") == 200


def test_the_page_itself_may_post(page, cookie: str) -> None:
    own = {"Origin": f"http://127.0.0.1:{page[1]}", "Content-Type": "application/json"}
    body = json.dumps({"data": [], "fn_index": 0, "session_hash": "abc"}).encode()
    assert ask(page[1], "/gradio_api/queue/join", "POST", body, Cookie=cookie, **own).status == 200
    assert ask(page[1], "/gradio_api/queue/join", "POST", body, **own).status == 403  # the page was never opened
    forged = f"{cookie.partition('=')[0]}={'0' * 32}.{'0' * 64}"
    assert ask(page[1], "/gradio_api/queue/join", "POST", body, Cookie=forged, **own).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/call/predict",
        "/gradio_api/call/v2/predict",
        "/gradio_api/api/predict",
        "/gradio_api/process_recording",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/file=http://127.0.0.1/",
        "/gradio_api/file=HTTPS://example.org/",
        "/gradio_api/vibe-edit",
    ],
)
def test_what_the_page_does_not_use_is_closed(page, cookie: str, path: str) -> None:
    for method in ("GET", "POST"):
        answer = ask(page[1], path, method, b"{}", Cookie=cookie, Content_Type="application/json")
        assert answer.status in (403, 404, 405)
    assert "not open" in answer.text


def test_functions_of_controls_are_for_visitors_and_no_others_are_there(page, cookie: str) -> None:
    editor = next(block for block in page[2].blocks.values() if block.elem_id == "recipe-a")
    own = {"Content-Type": "application/json"}

    def call(name: str, **headers: str) -> Answer:
        given = {"data": {"interventions": 5}, "component_id": editor._id, "fn_name": name, "session_hash": "abc"}
        return ask(page[1], "/gradio_api/component_server/", "POST", json.dumps(given).encode(), **own, **headers)

    assert call("check").status == 403  # the page was never opened
    answer = call("check", Cookie=cookie)
    assert answer.status == 200
    assert json.loads(answer.text)[0]["field"] == "interventions"
    for name in ("postprocess", "get_config", "__init__", "nothing"):
        assert call(name, Cookie=cookie).status == 404


def test_events_that_are_private_cannot_be_called_by_their_number(page) -> None:
    port = page[1]
    config = json.loads(ask(port, "/config").text)
    numbers = [dependency["id"] for dependency in config["dependencies"]]
    assert len(numbers) > 100
    for number in numbers[:: len(numbers) // 20]:
        for path in (f"/gradio_api/call/{number}", f"/gradio_api/api/{number}", f"/gradio_api/run/{number}"):
            body = json.dumps({"data": [], "fn_index": number, "session_hash": "abc"}).encode()
            assert ask(port, path, "POST", body, Content_Type="application/json").status == 403


def form(name: str | None, content: bytes, *, field: str = "files", times: int = 1) -> tuple[bytes, str]:
    head = f'Content-Disposition: form-data; name="{field}"' + ("" if name is None else f'; filename="{name}"')
    part = b"--b\r\n" + head.encode() + b"\r\nContent-Type: text/plain\r\n\r\n" + content + b"\r\n"
    return part * times + b"--b--\r\n", "multipart/form-data; boundary=b"


def upload(port: int, cookie: str, body: bytes, kind: str, **headers: str) -> Answer:
    return ask(port, "/gradio_api/upload", "POST", body, Cookie=cookie, Content_Type=kind, **headers)


def test_an_upload_is_taken_from_the_page_alone(page, cookie: str) -> None:
    body, kind = form("a.txt", b'text with filename="" in it')
    taken = upload(page[1], cookie, body, kind)
    assert taken.status == 200
    assert json.loads(taken.text)[0].endswith("a.txt")
    assert upload(page[1], "", body, kind).status == 403
    assert upload(page[1], cookie, body, kind, Origin="http://evil.example").status == 403


@pytest.mark.parametrize("name", ["", " ", ".", "..", "/", None])
def test_a_file_without_a_name_is_refused(page, cookie: str, name: str | None) -> None:
    answer = upload(page[1], cookie, *form(name, b"x"))
    assert answer.status == 400
    assert "without a name" in answer.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"", ""),
        (b"no form", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        form("a.txt", b"x", times=21),
    ],
)
def test_what_is_no_form_is_refused(page, cookie: str, body: bytes, kind: str) -> None:
    assert 400 <= upload(page[1], cookie, body, kind).status < 500


@pytest.mark.parametrize("chunked", [False, True])
def test_too_much_at_once_is_refused(page, cookie: str, chunked: bool) -> None:
    """200 MB in files of less than the largest each; in chunks, nothing says beforehand how much it will be."""
    port = page[1]
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    head, _ = form("a.txt", b"")
    megabyte = b"x" * 2**20

    def parts() -> Iterator[bytes]:
        for _ in range(4):
            yield head[: -len(b"\r\n--b--\r\n")]
            yield from [megabyte] * 50
            yield b"\r\n"

    headers = {"Host": f"127.0.0.1:{port}", "Cookie": cookie, "Content-Type": "multipart/form-data; boundary=b"}
    if not chunked:
        headers["Content-Length"] = str(200 * 2**20)
    with closing(connection), suppress(BrokenPipeError, ConnectionResetError):  # it may hang up, which is as good
        connection.request("POST", "/gradio_api/upload", parts(), headers, encode_chunked=chunked)
        assert connection.getresponse().status == 413
    stored = [
        path for path in Path(page[0].workspace.folder).rglob("*") if path.is_file() and path.stat().st_size > 2**26
    ]
    assert not stored


def test_other_requests_are_bounded_too(page, cookie: str) -> None:
    headers = {"Content_Length": str(10**12), "Cookie": cookie, "Content_Type": "application/json"}
    answer = ask(page[1], "/gradio_api/queue/join", "POST", b"", **headers)
    assert answer.status == 413
    assert "More than 32 MB" in answer.text


def test_files_are_saved_and_not_shown(page, cookie: str) -> None:
    bench, port, _ = page
    path = bench.workspace.export("page.html", "<script>alert(1)</script>")
    assert ask(port, f"/gradio_api/file={path}").status == 403  # the page was never opened
    answer = ask(port, f"/gradio_api/file={path}", Cookie=cookie)
    assert answer.status == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_names_of_a_page_that_others_reach() -> None:
    everywhere = Names.of("0.0.0.0", ["bench.example:443"])
    assert everywhere.has("192.0.2.7")
    assert everywhere.has("bench.example")
    assert not everywhere.has("evil.example")
    assert not Names.of("127.0.0.1").has("192.0.2.7")
    assert Names.of("192.0.2.7").has("192.0.2.7")
    assert [Names.of(host).only_here for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.0.2.7")] == [
        True
    ] * 3 + [False] * 2
    assert not Names.of("127.0.0.1", ["bench.example"]).only_here


def test_the_name_of_a_space_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_HOST", "someone-bench.hf.space")
    names = Names.of("0.0.0.0")
    assert names.has("someone-bench.hf.space")
    assert not names.only_here


def test_only_so_many_visitors_are_remembered_and_those_of_late_stay(page, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, most = page[2].app.state_holder, 5
    assert holder.capacity == SESSIONS
    monkeypatch.setattr(holder, "capacity", most)  # each visitor takes time to be remembered
    for number in range(most + 3):
        holder[f"visitor-{number}"]  # as an event of that page asks for it
    assert len(holder.session_data) <= most
    assert f"visitor-{most + 2}" in holder
    assert "visitor-0" not in holder


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("queue/join", {"data": [], "fn_index": -1, "session_hash": "x"}),
        ("queue/join", {"data": [], "fn_index": 10**9, "session_hash": "x"}),
        ("component_server/", {"data": [], "component_id": 10**30, "fn_name": "check", "session_hash": "x"}),
    ],
    ids=["event below 0", "no such event", "no such control"],
)
def test_a_request_that_no_page_sends_gets_a_sentence(page, cookie: str, caplog, path: str, given: object) -> None:
    sent = json.dumps(given).encode()
    answer = ask(page[1], f"/gradio_api/{path}", "POST", sent, Cookie=cookie, Content_Type="application/json")
    assert answer.status == 400
    assert "Load the page again" in answer.text
    assert [record.exc_info for record in caplog.records if record.name == "workbench.guard"] == [None]


def test_an_address_that_is_too_long_gets_a_sentence(page) -> None:
    assert ask(page[1], "/?" + "a=b&" * 2000).status == 200
    answer = ask(page[1], "/vectors?" + "a=b&" * 20_000)
    assert answer.status == 414
    assert "8,192 characters" in answer.text
