"""Who is let in to a page on this machine: whoever has its link, and nobody else."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from steering.errors import SteeringError
from tests.workbench.cli.test_cli import call
from workbench.bench import Workbench
from workbench.doors.door import SHORTEST, TOKEN, Door, Link, token_in
from workbench.doors.entrance import Entrance
from workbench.frame import serving
from workbench.frame.serving import note_address, served_at
from workbench.frame.shell import launch


PROXY = "bench.example"
"""By which a proxy in front is asked for the page."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Link, Path]]:
    """The link to a page, and its workspace. No model is loaded."""
    bench = Workbench(workspace=tmp_path_factory.mktemp("door"))
    told: list[Link] = []
    page = launch("", Entrance(port=0, allow_hosts=(PROXY,)), bench=bench, prevent_thread_lock=True, tell=told.append)
    assert told == [page.link]
    yield page.link, bench.workspace.folder
    page.close(verbose=False)
    bench.lane.close()


@pytest.fixture
def stranger(served: tuple[Link, Path]) -> Iterator[httpx.Client]:
    """Another user of the machine."""
    with httpx.Client(base_url=served[0].address, timeout=60) as client:
        yield client


@pytest.fixture
def owner(served: tuple[Link, Path]) -> Iterator[httpx.Client]:
    """Whoever opened the link."""
    with httpx.Client(base_url=served[0].address, timeout=60, follow_redirects=True) as client:
        assert client.get(str(served[0])).status_code == 200
        yield client


@pytest.mark.parametrize("path", ["/", "/steer", "/config", "/steer?run=1", "/no-page"])
def test_without_the_token_one_page_says_what_is_missing(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert "This page needs its link" in answer.text
    assert "printed where the workbench was started" in answer.text
    assert "workbench link" in answer.text
    assert "gradio" not in answer.text
    assert not stranger.cookies
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


API = [
    ("GET", "info"),
    ("GET", "app_id"),
    ("GET", "queue/data?session_hash=x"),
    ("GET", "heartbeat/x"),
    ("GET", "file=/etc/hostname"),
    ("GET", "user"),
    ("POST", "queue/join"),
    ("POST", "component_server"),
    ("POST", "upload"),
    ("POST", "cancel"),
    ("POST", "run/predict"),
]


@pytest.mark.parametrize(("method", "path"), API)
def test_without_a_visit_nothing_of_the_page_can_be_asked_for(
    stranger: httpx.Client, served: tuple[Link, Path], method: str, path: str
) -> None:
    token = served[0].token
    for more in ({}, {"authorization": f"Bearer {token}"}, {"cookie": f"sw-visit={token}"}):
        assert stranger.request(method, f"/gradio_api/{path}", headers=more).status_code == 403
    # The token is for opening a page: there it becomes a visit.
    assert stranger.request(method, f"/gradio_api/{path}", params={"token": token}).status_code == 403


def test_the_link_opens_the_page_and_leaves_no_token_in_the_address(served: tuple[Link, Path]) -> None:
    link = served[0]
    assert len(link.token) >= SHORTEST
    with httpx.Client(base_url=link.address, timeout=60) as browser:
        first = browser.get(link.to("steer", run="a b", bare="1"))
        assert first.status_code == 303
        assert first.headers["location"] == "./steer?run=a+b&bare=1"
        assert "HttpOnly; SameSite=Lax" in first.headers["set-cookie"]
        assert link.token not in first.headers["set-cookie"]
        assert browser.get("/steer").status_code == 200
        assert browser.get("/config").status_code == 200
        assert browser.get("/gradio_api/info").status_code == 200
        again = browser.get(str(link))  # the link is opened once more
        assert again.status_code == 303
        assert "set-cookie" not in again.headers


def test_the_token_may_be_pasted_alone_or_with_its_link(served: tuple[Link, Path], stranger: httpx.Client) -> None:
    for pasted in (served[0].token, str(served[0]), f" {served[0]} ", served[0].to("steer", bare="1")):
        assert stranger.get("/", params={"token": pasted}).status_code == 303
        stranger.cookies.clear()
    answer = stranger.get("/", params={"token": served[0].token[:-1]})
    assert answer.status_code == 401
    assert "not that of this page" in answer.text


def test_a_visit_of_another_start_or_a_forged_one_counts_for_nothing(
    served: tuple[Link, Path], owner: httpx.Client
) -> None:
    ((name, value),) = owner.cookies.items()
    number, user, since, signature = value.split(".")
    said = [[number], [number, user, since], [number, user, since, "0" * 64], ["0" * 32, user, since, signature]]
    said += [[number, "root", since, signature], [number, user, "9" * 10, signature], [number, signature], [""]]
    for forged in (*(".".join(each) for each in said), value.upper()):
        answer = httpx.get(served[0].address, headers={"cookie": f"{name}={forged}"})
        assert answer.status_code == 401, forged
    both = {"cookie": f"{name}=old; {name}={value}"}  # a page that stands in a frame, too, has two
    assert httpx.get(served[0].address, headers=both).status_code == 200


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"sec-fetch-dest": "document"}, "SameSite=Lax"),
        ({"sec-fetch-dest": "iframe"}, "SameSite=None; Secure; Partitioned"),
        ({"sec-fetch-dest": "document", "x-forwarded-proto": "https"}, "SameSite=Lax; Secure"),
        ({"x-forwarded-proto": "https"}, "SameSite=None; Secure; Partitioned"),
        ({}, "SameSite=Lax"),
    ],
)
def test_a_page_in_a_frame_gets_a_cookie_that_may_go_there(
    served: tuple[Link, Path], headers: dict[str, str], kind: str
) -> None:
    answer = httpx.get(str(served[0]), headers=headers)
    assert answer.headers["set-cookie"].endswith(f"HttpOnly; {kind}")


def test_the_note_of_the_page_is_its_owners_alone_and_finds_it(served: tuple[Link, Path], tmp_path: Path) -> None:
    link, folder = served
    assert stat.S_IMODE((folder / "served.json").stat().st_mode) == 0o600
    assert served_at(folder) == link
    assert call("link", "--workspace", str(folder)).stdout.strip() == str(link)
    said = json.loads((folder / "served.json").read_text())
    for other, known in ((Link(link.address, "x" * 40), said["app_id"]), (link, said["app_id"] + 1)):
        note_address(tmp_path, other, known)
        assert served_at(tmp_path) is None
    assert "No page is served" in call("link", "--workspace", str(tmp_path), code=1).stderr


def test_a_page_behind_a_proxy_asks_for_the_token_too(served: tuple[Link, Path]) -> None:
    asked = {"host": PROXY, "x-forwarded-proto": "https", "sec-fetch-dest": "document"}
    assert httpx.get(served[0].address, headers=asked).status_code == 401
    answer = httpx.get(str(served[0]), headers=asked)
    assert answer.status_code == 303
    assert answer.headers["set-cookie"].endswith("SameSite=Lax; Secure")


def test_whatever_listens_at_the_address_by_now_does_not_learn_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def get(url: str, **options: object) -> httpx.Response:
        asked.append(f"{url} {options}")
        return httpx.Response(200, json={"app_id": 5})

    monkeypatch.setattr(serving.httpx, "get", get)
    note_address(tmp_path, Link("http://127.0.0.1:9", "t" * 40), 7)
    assert served_at(tmp_path) is None
    assert len(asked) == 1
    assert "t" * 40 not in asked[0]


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert Door.of("127.0.0.1").token != Door.of("127.0.0.1").token
    monkeypatch.setenv(TOKEN, "s" * SHORTEST)
    assert Door.of("127.0.0.1").token == "s" * SHORTEST
    assert Door.of("::1", token="").token == ""  # which goes before
    assert not Door.of("localhost", token="").asks
    path = tmp_path / "token"
    path.write_text(f"{'f' * SHORTEST}\n")
    path.chmod(0o600)
    assert token_in(path) == "f" * SHORTEST
    if os.name == "posix":
        path.chmod(0o644)
        with pytest.raises(SteeringError, match="Other users of this machine may read"):
            token_in(path)
    path.chmod(0o600)
    for wrong, said in (("short", "can be guessed"), ("", "is empty"), ("two words of more letters", "cannot stand")):
        path.write_text(wrong)
        with pytest.raises(SteeringError, match=said):
            token_in(path)
    with pytest.raises(SteeringError, match="cannot be read: No such file"):
        token_in(tmp_path / "none")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "bench.example", ""])
@pytest.mark.parametrize("token", [None, "", "t" * 40])
def test_an_address_that_others_reach_is_refused(tmp_path: Path, host: str, token: str | None) -> None:
    with pytest.raises(SteeringError, match=r"lets other machines in.*--auth.*--public"):
        launch("", Entrance(host, 0, token=token), workspace=tmp_path / "home", prevent_thread_lock=True)
    assert not (tmp_path / "home").exists()  # nothing was begun


def test_the_command_takes_one_way_to_say_the_token() -> None:
    told = call("serve", "--no-token", "--token-file", "x", code=1)
    assert "--token-file and --no-token" in told.stderr
