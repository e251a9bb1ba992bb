"""Users who sign in: nobody else gets in, and each has a workspace of their own that stays."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from steering.errors import SteeringError
from tests.workbench.asking import asked_by
from tests.workbench.cli.test_cli import call
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.cli.main import app
from workbench.doors import accounts, signing, visits
from workbench.doors.accounts import Accounts, hashed, line_of
from workbench.doors.at_hand import on_behalf_of
from workbench.doors.entrance import Entrance
from workbench.doors.rates import Rate
from workbench.doors.signing import TRIES, way_on
from workbench.doors.visits import Visit, Visits
from workbench.frame.shell import launch


ANNA, BEN = "a long password", "another one, with: colons"


@pytest.fixture(scope="module", autouse=True)
def cheap() -> Iterator[None]:
    """Hashes that cost little; a hash says what it cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_N", 2**8)
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, str]]:
    """A page with two users, and its address. No model is loaded."""
    bench = Workbench(workspace=tmp_path_factory.mktemp("owner"))
    bench.workspace.put(vector("owners", 7))
    users = Accounts({"anna": hashed(ANNA), "ben": hashed(BEN)})
    page = launch("", Entrance(port=0, accounts=users), bench=bench, prevent_thread_lock=True)
    assert str(page.link) == f"{page.link.address}/"  # there is no token
    yield bench, page.link.address
    page.close(verbose=False)
    bench.lane.close()


def browser(address: str) -> httpx.Client:
    return httpx.Client(base_url=address, timeout=60)


def sign_in(http: httpx.Client, name: str, password: str, to: str = "/") -> httpx.Response:
    return http.post("/sign-in", data={"name": name, "password": password, "next": to})


@pytest.fixture
def anna(served: tuple[Workbench, str]) -> Iterator[httpx.Client]:
    with browser(served[1]) as http:
        assert sign_in(http, "anna", ANNA).status_code == 303
        yield http


@pytest.mark.parametrize("path", ["/", "/steer?run=1", "/config", "/sign-out"])
def test_who_has_not_signed_in_is_asked_to(served, path: str) -> None:
    answer = httpx.get(served[1] + path)
    assert answer.status_code == 401
    assert 'type="password"' in answer.text
    assert "gradio" not in answer.text
    assert "set-cookie" not in answer.headers
    assert answer.headers["referrer-policy"] == "same-origin"  # else browsers send the form from the origin "null"
    for asked in ("info", "queue/data?session_hash=x", "heartbeat/x", "file=/etc/hostname", "user"):
        assert httpx.get(f"{served[1]}/gradio_api/{asked}").status_code == 403
    assert httpx.post(f"{served[1]}/gradio_api/queue/join", json={"session_hash": "x"}).status_code == 403


def test_who_signs_in_goes_where_they_wanted_and_comes_back_until_they_sign_out(served) -> None:
    with browser(served[1]) as http:
        first = sign_in(http, "ben", BEN, "/steer?run=1&bare=1")
        assert (first.status_code, first.headers["location"]) == (303, "./steer?run=1&bare=1")
        assert "HttpOnly; SameSite=Lax" in first.headers["set-cookie"]
        page = http.get("/steer")
        assert page.status_code == 200
        assert "./sign-out" in page.text
        assert page.headers["content-security-policy"] == "frame-ancestors 'self'"
        assert http.get("/sign-in").headers["location"] == "./"
        asked = http.get("/sign-out")
        assert "You are signed in as <b>ben</b>" in asked.text
        assert http.get("/steer").status_code == 200  # a link alone signs nobody out
        kept = dict(http.cookies)
        gone = http.post("/sign-out")
        assert "You are signed out" in gone.text
        assert http.get("/steer").status_code == 401
        assert httpx.get(served[1], cookies=kept).status_code == 401  # nor does the old cookie let anybody in


def test_a_page_learns_who_has_signed_in(served, anna: httpx.Client) -> None:
    parts = anna.get("/config").json()["components"]
    bar = next(each["id"] for each in parts if "sw-model-slot" in (each["props"].get("elem_classes") or []))
    asked = {"data": None, "component_id": bar, "fn_name": "seen", "session_hash": "annas"}
    assert anna.post("/gradio_api/component_server", json=asked).json()["user"] == "anna"


def test_an_address_without_a_page_leads_to_the_start_page(served, anna: httpx.Client) -> None:
    for path, start in {"/nothing": "./", "/nothing/more?x=1": "../", "/<b>": "./"}.items():
        answer = anna.get(path)
        assert answer.status_code == 404
        assert "There is no such page" in answer.text
        assert f'<a href="{start}">' in answer.text
        assert "<b>" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert anna.post("/nothing").json() == {"detail": "Not Found"}  # which no browser shows
    assert anna.get("/assets/nothing.js").json() == {"detail": "Not Found"}
    assert httpx.get(f"{served[1]}/nothing").status_code == 401  # who is not let in does not learn what there is


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anna", BEN),
        ("anna", ""),
        ("anna", ANNA[:-1]),
        ("anna", f"{ANNA} "),
        ("nobody", ANNA),
        ("", ""),
        ("Anna", ANNA),
    ],
)
def test_a_wrong_password_lets_nobody_in_and_does_not_say_what_was_wrong(served, name: str, password: str) -> None:
    with browser(served[1]) as http:
        answer = sign_in(http, name, password)
        assert answer.status_code == 401
        assert "do not go together" in answer.text
        assert not http.cookies
        assert password == "" or password not in answer.text
        assert f'value="{name}"' in answer.text  # for the next try


@pytest.mark.parametrize("body", [b"", b"\xff\xfe=1", b"name=anna", b"a=1&" * 3000, b"{}"])
def test_what_is_no_form_lets_nobody_in(served, body: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert httpx.post(f"{served[1]}/sign-in", content=body, headers=kind).status_code == 401


def test_other_pages_can_neither_sign_in_nor_out(served, anna: httpx.Client) -> None:
    for path in ("/sign-in", "/sign-out"):
        for elsewhere in (
            {"origin": "http://evil.example"},
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        ):
            assert anna.post(path, headers=elsewhere).status_code == 403
    assert anna.get("/").status_code == 200


def test_tries_are_limited_for_a_name_and_address_and_others_still_get_in(
    served, anna: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def admit(self: Accounts, name: str, password: str) -> bool:
        asked.append(name)
        return password == BEN

    monkeypatch.setattr(Accounts, "admit", admit)
    with browser(served[1]) as http:
        answers = [sign_in(http, "carl", "wrong password").status_code for _ in range(TRIES + 3)]
        assert answers == [401] * TRIES + [429] * 3
        assert asked == ["carl"] * TRIES  # those that are too many are not even looked at
        assert "Wait five minutes" in sign_in(http, "carl", BEN).text
        assert sign_in(http, "ben", BEN).status_code == 303
    assert anna.get("/").status_code == 200


def test_a_rate_begins_anew_after_its_window() -> None:
    now = [0.0]
    rate = Rate(2, seconds=10, clock=lambda: now[0])
    assert [rate.take("a"), rate.take("a"), rate.take("a"), rate.take("b")] == [True, True, False, True]
    assert rate.full("a")
    rate.give_back("b")
    now[0] = 10.0
    assert not rate.full("a")
    assert rate.take("a")


def test_each_user_has_a_workspace_that_stays_and_no_other(served) -> None:
    bench = served[0]
    own, other = (Visit("1" * 32, user=name, room=name) for name in ("anna", "ben"))
    again = Visit("2" * 32, user="anna", room="anna")  # the same user on another machine
    with on_behalf_of(own):
        bench.workspace.put(vector("annas", 3))
        assert bench.workspace.folder == bench.own.folder / "users" / "anna"
    with on_behalf_of(other):
        assert bench.workspace.names() == []
    with on_behalf_of(again):
        assert bench.workspace.names() == ["annas"]
    assert bench.own.names() == ["owners"]
    with pytest.raises(SteeringError, match="Nobody is known"):
        bench.workspace  # noqa: B018
    bench.clear()  # nobody's goes
    assert (bench.own.folder / "users" / "anna" / "shelf").exists()


def test_files_of_others_are_not_downloaded(served, anna: httpx.Client) -> None:
    bench = served[0]
    paths = {}
    for name in ("anna", "ben"):
        with on_behalf_of(Visit("1" * 32, user=name, room=name)):
            paths[name] = bench.workspace.export(f"{name}.csv", "a,b")
    assert anna.get(f"/gradio_api/file={paths['anna']}").status_code == 200
    for path in (paths["ben"], *bench.own.shelf.iterdir()):
        assert anna.get(f"/gradio_api/file={path}").status_code == 403


def test_a_visit_of_a_user_ends_after_some_days_and_cannot_be_another_users(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Visits(1)
    visit = made.begin("anna")
    cookie = made.cookie(visit, https=True, framed=False)
    sent = cookie.partition(";")[0]
    found = made.of(sent)
    assert found == visit
    assert (visit.user, visit.room) == ("anna", "anna")
    assert made.of(sent.replace(".anna.", ".root.")) is None
    assert "Secure" in cookie
    now = time.monotonic()
    monkeypatch.setattr(visits.time, "time", lambda: 0.0)  # a clock that is put back, or forward, ends no visit
    assert made.of(sent) == visit
    monkeypatch.setattr(visits.time, "monotonic", lambda: now + visits.DAYS * 86_400 + 2)
    assert made.of(sent) is None
    assert asked_by(visit).request.scope[visits.VISIT] == visit


@pytest.mark.parametrize(
    ("to", "goes"),
    [
        ("/steer?x=1", "./steer?x=1"),
        ("/", "./"),
        ("", "./"),
        ("//evil.example/x", "./"),
        ("https://evil.example", "./"),
        ("javascript:alert(1)", "./"),
        ("/\\evil.example", "./"),
        ("///evil.example", "./"),
        ("/a\nb", "./"),
        ("evil.example", "./"),
        ("http://[", "./"),
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(to: str, goes: str) -> None:
    assert way_on(to) == goes or (to == "///evil.example" and way_on(to) == "./evil.example")


def test_a_file_of_users_is_read_and_what_is_wrong_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.touch(mode=0o600)
    path.write_text(f"# the team\n\n{line_of('anna', ANNA)}\nben:{BEN}\n")
    found, plain = Accounts.in_file(path)
    assert (found.names, plain) == (["anna", "ben"], ["ben"])
    assert found.admit("anna", ANNA)
    assert found.admit("ben", BEN)
    assert not found.admit("ben", ANNA)
    assert ANNA not in str(vars(found))
    assert BEN not in str(vars(found))
    wrong = {
        "anna": "Line 1 of 'users' has no colon",
        "anna:": "has no colon",
        "Anna:12345678": "no name of a user",
        "../x:12345678": "no name of a user",
        "anna:short": "a password of 5 characters",
        "anna:12345678\nanna:12345678": "Line 2 of 'users' names 'anna' once more",
        "anna:scrypt$1$1$1$x$y": "a hash that cannot be read",
        f"anna:{hashed(ANNA)[:-4]}": "a hash that cannot be read",
        f"anna:{hashed(ANNA).replace('$256$', '$255$')}": "a hash that cannot be read",
        "# nobody": "names no users",
    }
    for text, said in wrong.items():
        path.write_text(text)
        with pytest.raises(SteeringError) as caught:
            Accounts.in_file(path)
        assert said in str(caught.value)
        assert "12345678" not in str(caught.value)
    if os.name == "posix":
        path.chmod(0o640)
        with pytest.raises(SteeringError, match="Other users of this machine may read"):
            Accounts.in_file(path)


def test_the_command_makes_a_line_and_serve_takes_one_way_to_say_who_may_come(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["password", "anna"], input=f"{ANNA}\n{ANNA}\n")
    assert made.exit_code == 0, made.output
    path = tmp_path / "users"
    path.touch(mode=0o600)
    path.write_text(made.stdout)
    found, plain = Accounts.in_file(path)
    assert plain == []
    assert found.admit("anna", ANNA)
    short = CliRunner().invoke(app, ["password", "anna"], input="short\nshort\n")
    assert short.exit_code == 1
    assert "workbench password: a password of 5 characters" in short.output
    bad = CliRunner().invoke(app, ["password", "Anna B"])  # said before it asks for anything
    assert bad.exit_code == 1
    assert "no name of a user" in bad.output
    for given, said in (
        (("--auth", "anna:12345678", "--auth-file", str(path)), "--auth and --auth-file"),
        (("--auth", "anna"), "without a colon"),
        (("--auth", "anna:12345678", "--public"), "Users who sign in and a public page"),
        (("--limit", "tokens=5"), "--limit was given without --public"),
        (("--public", "--limit", "words=5"), "words=5"),
        (("--host", "0.0.0.0"), "--auth user:password (or --auth-file)"),
    ):
        told = " ".join(call("serve", *given, code=1).stderr.split())
        assert said in told
    assert "--public" in told
    assert signing.SECONDS == 300  # "five minutes", as the page says
