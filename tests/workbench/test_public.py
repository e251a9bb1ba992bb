"""A public page: every visitor has a workspace of their own, within limits, and reaches nobody else's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.state_holder import SessionState

from steering.confines import UPLOAD, confined, named_file
from steering.errors import SteeringError
from steering.lane import OTHERS
from steering.loading.options import LoadOptions
from steering.studies.size import Size, Work
from tests.conftest import ROOT
from tests.workbench.asking import Asker, asked_by, tiny_bench
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.controls.estimate_words import estimate, in_short
from workbench.doors.at_hand import on_behalf_of
from workbench.doors.entrance import Entrance
from workbench.doors.limits import Limits
from workbench.doors.rooms import Rooms
from workbench.doors.visits import Visit
from workbench.frame.look import title_of
from workbench.frame.shell import launch
from workbench.page.inputs import Page
from workbench.page.markup import error_card
from workbench.places import without_places
from workbench.runs.run import Run


LIMITS = Limits(tokens=8, cells=4, prompt=200, requests=40, disk=1, vectors=2, queue=1)
ANNA, BEN = (Visit(letter * 32, room=letter * 32, limits=LIMITS) for letter in "ab")


@dataclass
class Visitor:
    """A browser that opened the page, and its visit."""

    http: httpx.Client
    visit: Visit

    def events(self, path: str, **given: Any) -> httpx.Response:
        return self.http.post(f"/gradio_api/{path}", json=given)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Iterator[tuple[Workbench, Page]]:
    bench = tiny_bench(tmp_path_factory.mktemp("owner"), tokenizer)
    bench.workspace.put(vector("owners", 7, blocks=4, width=32))
    page = launch("", Entrance(port=0, public=LIMITS), bench=bench, prevent_thread_lock=True)
    yield bench, page
    folder = bench.rooms.folder if bench.rooms else Path()
    page.close(verbose=False)
    bench.lane.close()
    assert not folder.exists()  # all that visitors left goes with the page


def visitor(page: Page) -> Visitor:
    http = httpx.Client(base_url=page.link.address, timeout=60)
    assert http.get("/").status_code == 200
    number = next(iter(http.cookies.values())).partition(".")[0]
    return Visitor(http, Visit(number, room=number, limits=LIMITS))


@pytest.fixture
def two(served: tuple[Workbench, Page]) -> Iterator[tuple[Visitor, Visitor]]:
    both = visitor(served[1]), visitor(served[1])
    yield both
    for each in both:
        each.http.close()


def fetched(who: Visitor, path: Path | str) -> int:
    return who.http.get(f"/gradio_api/file={path}").status_code


def test_nobody_downloads_what_is_anothers(served, two) -> None:
    bench, (anna, ben) = served[0], two
    with on_behalf_of(anna.visit):
        own = bench.workspace
        export = own.export("mine.csv", "a,b")
        name = own.put(vector("mine", 1, blocks=4, width=32))
        own.note(name, note="mine alone")
        kept, listed = own.get(name).path, own.folder / "shelf.json"
        assert own.names() == ["mine"]
    with on_behalf_of(ben.visit):
        assert bench.workspace.names() == []
        beside = bench.workspace.export("ben.csv", "c")
    for path in (export, kept):
        assert fetched(anna, path) == 200
        assert fetched(ben, path) == 403
        assert fetched(ben, f"{beside.parent}/../../{path.relative_to(path.parents[2])}") == 403
        assert httpx.get(f"{served[1].link.address}/gradio_api/file={path}").status_code == 403
    assert listed.exists()
    assert fetched(anna, listed) == 403  # nothing but downloads, even of one's own
    for path in (*bench.own.shelf.iterdir(), bench.own.folder, "/etc/hostname", Path(__file__)):
        assert fetched(anna, path) == 403


def test_an_address_without_a_page_begins_a_visit_and_leads_to_the_start_page(served) -> None:
    with httpx.Client(base_url=served[1].link.address, timeout=60) as http:
        answer = http.get("/nothing")
        assert (answer.status_code, '<a href="./">To the start page' in answer.text) == (404, True)
        cookies = dict(http.cookies)
        assert cookies
        assert http.get("/").status_code == 200
        assert dict(http.cookies) == cookies


def test_nobody_speaks_in_anothers_session(served, two) -> None:
    anna, ben = two
    event = next(each for each in served[1].fns.values() if getattr(each.fn, "__name__", "") == "opened")
    sent = {"data": [None] * len(event.inputs), "fn_index": event._id, "session_hash": "annas-own"}
    assert anna.events("queue/join", **sent).status_code == 200
    for path in ("queue/join", "run/predict", "component_server", "cancel"):
        answer = ben.events(path, **sent, component_id=1, fn_name="check", event_id="x")
        assert (answer.status_code, "another visit" in answer.text) == (403, True), path
    for path in ("queue/data?session_hash=annas-own", "queue/data?session_hash=x&session_hash=annas-own"):
        assert ben.http.get(f"/gradio_api/{path}").status_code == 403
    assert ben.http.get("/gradio_api/heartbeat/annas-own").status_code == 403
    for wrong in ({}, {"session_hash": 5}, {"session_hash": ""}, {"session_hash": "x" * 80}):
        assert ben.events("queue/join", **{**sent, "session_hash": None, **wrong}).status_code in (400, 403)
    with anna.http.stream("GET", "/gradio_api/queue/data?session_hash=annas-own") as lines:
        assert any("process_completed" in line for line in lines.iter_lines())


def test_functions_of_controls_answer_for_who_asks(served, two) -> None:
    bench, page = served
    anna, ben = two
    with on_behalf_of(anna.visit):
        bench.workspace.put(vector("named", 2, blocks=4, width=32))
        run = bench.runs.begin(Run("", "steer", "Annas run", "tiny", panel="steer"))
        bench.runs.end(run, "done", view={"shown": {}, "settings": {}})
    shelf = next(part for part in page.blocks.values() if part.elem_id == "shelf")
    bar = next(part for part in page.blocks.values() if "sw-model-slot" in str(part.elem_classes))

    def asked(who: Visitor, part: Any, name: str, data: Any) -> str:
        given = {"component_id": part._id, "fn_name": name, "data": data}
        return who.events("component_server", session_hash=f"of-{who.visit.number}", **given).text

    assert "named.safetensors" in asked(anna, shelf, "file_of", "named")
    for name in ("named", "owners"):
        assert asked(ben, shelf, "file_of", name) == '""'
    noted = {"name": "named", "title": "named", "group": "g", "note": "from somebody else"}
    assert "no vector" in asked(ben, shelf, "write_down", noted)
    wanted = {"run": run, "kind": "yaml", "bare": False}
    assert "There is no run" in asked(ben, bar, "exported", wanted)
    assert "There is no run" not in asked(anna, bar, "exported", wanted)
    with on_behalf_of(anna.visit):
        assert bench.workspace.notes.of("named").note == ""


def _opened(page: Page, visit: Visit | None, path: str = "steer", **query: str) -> str:
    """All that a visitor's page shows when it is opened."""
    shown = []
    here = set(page.get_config_file()["page"][path]["dependencies"])
    for number, event in page.fns.items():
        if number in here and getattr(event.fn, "__name__", "") == "opened":
            request = asked_by(visit, **query)
            given = [None] * len(event.inputs)
            answer = asyncio.run(page.process_api(event, given, state=SessionState(page), request=request))
            shown.append(json.dumps(answer["data"], default=str))
    return "\n".join(shown)


def test_a_run_is_opened_by_whose_it_is_alone(served) -> None:
    bench, page = served
    with on_behalf_of(ANNA):
        id = bench.runs.begin(Run("", "steer", "Of Anna alone", "tiny", panel="steer"))
        bench.runs.end(id, "done", view={"shown": {}, "settings": {}})
    assert "Of Anna alone</b>" in _opened(page, ANNA, run=id)
    told = _opened(page, BEN, run=id)
    assert "Of Anna alone" not in told
    assert "There is no run" in told
    assert "Of Anna alone" in _opened(page, ANNA, "")  # in the start page's list of the latest
    assert "Of Anna alone" not in _opened(page, BEN, "")


def test_without_a_visit_there_is_an_error_and_nobodys_workspace(served) -> None:
    bench, page = served
    with pytest.raises(SteeringError, match="Nobody is known"):
        bench.workspace  # noqa: B018
    with pytest.raises(SteeringError, match="Nobody is known"), on_behalf_of(Visit("c" * 32)):
        bench.confines  # noqa: B018
    with pytest.raises(gr.Error, match="Nobody is known"):
        _opened(page, None)


def test_what_everybody_gets_was_laid_out_with_nobodys_vectors(served, two) -> None:
    page = two[0].http.get("/steer").text
    assert "owners" not in page
    assert "This page is public" in page
    assert "removed 60 minutes after your last visit" in page


def test_the_model_and_its_template_are_the_same_for_all(served) -> None:
    bench = served[0]
    with on_behalf_of(ANNA):
        for name in ("demo", "/etc", "org/model"):
            with pytest.raises(SteeringError, match="cannot be loaded from this page"):
                bench.load(name, LoadOptions(trust_remote_code=True))
        with pytest.raises(SteeringError, match="the same for all visitors"):
            bench.use(bench.model.require().chat)
        for source in ("/etc/hostname", f"{bench.own.folder}/shelf.json", f"{UPLOAD}../../etc/hostname"):
            with confined(bench.confines), pytest.raises(SteeringError, match="page cannot read"):
                named_file(source)


def test_uploads_are_found_by_their_own_visitor_alone(served, tmp_path: Path) -> None:
    bench, path = served[0], tmp_path / "rows.csv"
    path.write_text("text\nhello\n")
    with on_behalf_of(ANNA):
        source = bench.workspace.uploads.add(path).source
        with confined(bench.confines):
            assert named_file(source).read_text() == "text\nhello\n"
    with on_behalf_of(BEN), confined(bench.confines):
        assert not named_file(source).exists()
    assert not named_file(source).exists()  # nor by whoever is at the machine


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("'/srv/models/secret/config.json' is no file.", "'…/config.json' is no file."),
        ("See /srv/models/secret, please (/opt/a/b).", "See …/secret, please (…/b)."),
        ("OSError: /a/b/c: No such file", "OSError: …/c: No such file"),
        ("tokens/s and 1/2, and/or https://example.org/a/b", "tokens/s and 1/2, and/or https://example.org/a/b"),
        (
            "the page /steer, the workspace/shelf/joy.safetensors",
            "the page /steer, the workspace/shelf/joy.safetensors",
        ),
    ],
)
def test_no_message_tells_a_path(text: str, told: str) -> None:
    assert without_places(text) == text  # whoever is at the machine may know
    with on_behalf_of(ANNA):
        assert without_places(text) == told
        assert "/srv" not in error_card(ValueError(text))
        assert "/srv" not in error_card(SteeringError(text, text, text))


def test_jobs_of_others_are_told_without_their_titles(served) -> None:
    bench = served[0]
    with on_behalf_of(ANNA):
        job = bench.lane.submit(lambda job: None, title="Annas secret")
        assert title_of(job) == "Annas secret"
    with on_behalf_of(BEN):
        assert title_of(job) == OTHERS.capitalize()
    job.result(60)


def test_so_many_requests_a_minute_and_no_more(served, two) -> None:
    anna, ben = two
    answers = [anna.events("cancel", session_hash="s", fn_index=0, event_id="x").status_code for _ in range(50)]
    assert answers == [200] * LIMITS.requests + [429] * (50 - LIMITS.requests)
    assert ben.events("cancel", session_hash="t", fn_index=0, event_id="x").status_code == 200
    assert anna.http.get("/steer").status_code == 200  # pages are read all the same


def test_files_of_other_kinds_are_not_taken(two) -> None:
    anna, _ = two

    def sent(*names: str) -> httpx.Response:
        return anna.http.post("/gradio_api/upload", files=[("files", (name, b"x")) for name in names])

    for name in ("rows.csv", "ROWS.JSONL", "v.safetensors", "runs.zip"):
        assert sent(name).status_code == 200, name
    for names in (("page.html",), ("run.py",), ("csv",), ("rows.csv", "x.exe"), ("rows.csv.sh",)):
        answer = sent(*names)
        assert answer.status_code == 400, names
        assert "does not take" in answer.text


def test_so_much_is_kept_and_no_more(served, two) -> None:
    bench, (anna, _) = served[0], two
    sent = {"files": ("a.csv", b"x" * 600_000)}
    assert [anna.http.post("/gradio_api/upload", files=sent).status_code for _ in range(3)] == [200, 200, 413]
    with on_behalf_of(anna.visit), pytest.raises(SteeringError, match=r"take 1 MB.*less than 1 MB here"):
        bench.check_room()
    with on_behalf_of(BEN):
        bench.check_room()
        for seed in range(LIMITS.vectors):
            bench.workspace.put(vector(f"v{seed}", seed, blocks=4, width=32))
        bench.workspace.put(vector("v0", 0, blocks=4, width=32))  # which is there already
        with pytest.raises(SteeringError, match="holds 2 vectors"):
            bench.workspace.put(vector("more", 9, blocks=4, width=32))


def _run(page: Page, visit: Visit, **fields: Any) -> str:
    """Press Run on Steer."""
    return Asker(page, asked_by(visit)).ask("run", **fields)


def _recipe(tokens: int, vector: str = "") -> dict[str, Any]:
    steered = [{"vector": vector, "strength": 20.0, "unit": "raw"}] if vector else []
    return {"interventions": steered, "decode": {"max_new_tokens": tokens}}


def test_what_is_over_a_limit_is_told_before_it_runs(served) -> None:
    bench, page = served
    cara = Visit("c" * 32, room="c" * 32, limits=LIMITS)
    over = _run(page, cara, user="Hello.", **{"recipe-a": _recipe(9)})
    assert "Replies of 9 tokens were asked for; this page is public." in over
    assert "at most 8 here" in over
    with pytest.raises(gr.Error, match="A text of 201 characters was given; this page is public"):
        _run(page, cara, user="x" * 201, **{"recipe-a": _recipe(8)})
    with on_behalf_of(cara):
        assert bench.runs.find() == []
    assert "sw-error" not in _run(page, cara, user="Hello.", **{"recipe-a": _recipe(8)})
    with on_behalf_of(cara):
        assert [run.state for run in bench.runs.find()] == ["done"]
    assert bench.own.runs.find() == []


def test_a_run_takes_the_vectors_of_whoever_asked(served) -> None:
    bench, page = served
    dora = Visit("d" * 32, room="d" * 32, limits=LIMITS)
    for name in ("owners", "v0"):
        assert "There is no vector" in _run(page, dora, user="Hello.", **{"recipe-a": _recipe(4, name)})
    with on_behalf_of(dora):
        bench.workspace.put(vector("v0", 5, blocks=4, width=32))
    assert "There is no vector" not in _run(page, dora, user="Hello.", **{"recipe-a": _recipe(4, "v0")})


def test_the_line_beside_run_says_what_is_over_a_limit(served) -> None:
    host = served[0].model.require()
    many, long = Size((Work("readings", LIMITS.rows + 1, 20),)), Size((Work("replies", 2, LIMITS.tokens + 1),))
    grid, fine = Size((Work("replies", LIMITS.cells + 1, 4),)), Size((Work("replies", 2, 4),))
    for size, kind in ((many, "probe"), (long, "steer"), (grid, "grid")):
        assert "public" not in estimate(size, host, kind)  # whoever is at the machine may
        with on_behalf_of(BEN):
            assert "this page is public" in estimate(size, host, kind)
    with on_behalf_of(BEN):
        assert estimate(grid, host, "steer").startswith("Up to 5 replies")  # cells are a grid's
        assert in_short(many, host) == "More than this page allows"
        assert in_short(fine, host).startswith("2 replies")


def test_the_field_that_is_over_is_marked(served) -> None:
    editor = next(part for part in served[1].blocks.values() if part.elem_id == "recipe-a")
    chat = next(part for part in served[1].blocks.values() if part.elem_id == "chat-fields")
    with on_behalf_of(BEN):
        (said,) = editor.check(_recipe(9))
        assert said["field"] == "decode.max_new_tokens"
        (problem,) = chat.preprocess({"thought_tokens": 9}).problems
        assert problem.field == "thought_tokens"
        (problem,) = chat.preprocess({"prefill": "x" * 201}).problems
        assert problem.field == "prefill"
    assert not chat.preprocess({"thought_tokens": 9}).problems  # whoever is at the machine may


def test_rooms_of_visitors_who_are_gone_are_cleared(tmp_path: Path) -> None:
    now, busy = [0.0], {BEN.room}
    limits = Limits(minutes=10, visitors=3)
    rooms = Rooms(tmp_path / "rooms", limits, busy=busy.__contains__, clock=lambda: now[0])
    folders = {}
    for visit in (ANNA, BEN):
        with on_behalf_of(visit):
            folders[visit.room] = rooms.workspace.folder
            rooms.workspace.runs  # noqa: B018
            rooms.workspace.cells["key"] = {"a": 1}
    assert ANNA.number not in str(list(folders.values()))  # which is a secret
    now[0] = 599.0
    assert rooms.clear() == []
    with on_behalf_of(ANNA):
        rooms.use()
    now[0] = 1000.0
    assert rooms.clear() == []  # Anna was here since, and something goes on for Ben
    now[0] = 1200.0
    assert rooms.clear() == [ANNA.room]
    assert [folder.exists() for folder in folders.values()] == [False, True]
    with on_behalf_of(ANNA):
        assert rooms.workspace.folder != folders[ANNA.room]  # she begins anew
    with on_behalf_of(Visit("e" * 32, room="e" * 32)):
        rooms.use()
    many = Visit("f" * 32, room="f" * 32)
    with on_behalf_of(many), pytest.raises(SteeringError, match="3 visitors are here"):
        rooms.use()
    now[0] += 61
    with on_behalf_of(many):
        rooms.use()  # in place of one who did nothing for longest
    rooms.close()
    assert not (tmp_path / "rooms").exists()
    with on_behalf_of(many), pytest.raises(SteeringError, match="has ended"):
        rooms.use()


@pytest.mark.parametrize(
    "given", ["tokens", "tokens=", "tokens=x", "tokens=-1", "tokens=0", "tokens=1e3", "words=5", "=5", "tokens=²", ""]
)
def test_limits_that_are_none_are_refused(given: str) -> None:
    with pytest.raises(SteeringError):
        Limits.of([given])


def test_the_docs_tell_every_limit_as_it_is() -> None:
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+)", text, re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in told} == asdict(Limits())


def test_limits_are_set_by_their_names() -> None:
    assert Limits.of(["tokens=200", " cells = 9 "]) == Limits(tokens=200, cells=9)
    assert Limits.of([]) == Limits()


def test_nobody_removes_notes_or_has_back_what_is_anothers(served) -> None:
    bench, page = served
    eve = Visit("e" * 32, room="e" * 32, limits=LIMITS)
    with on_behalf_of(eve):
        bench.workspace.put(vector("eves", 4, blocks=4, width=32))
        gone = bench.workspace.remove(bench.workspace.put(vector("gone", 5, blocks=4, width=32)))
    shelf = next(part for part in page.blocks.values() if part.elem_id == "shelf")

    def asked(done: str, **said: str) -> str:
        (event,) = (each for each in page.fns.values() if each.fn and (shelf._id, done) in each.targets)
        with on_behalf_of(BEN):
            return str([*event.fn(gr.EventData(None, said), asked_by(BEN)).values()])

    assert "no vector" in asked("remove", name="eves")
    assert "cannot be had back" in asked("restore", id=gone.id)
    with on_behalf_of(eve):
        assert bench.workspace.names() == ["eves"]
        assert [each.id for each in bench.workspace.bin.find()] == [gone.id]


def test_the_files_of_a_large_room_are_not_looked_at_for_every_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, looks, costs = [0.0], list[int](), [0.05]

    def counted(folder: Path) -> int:
        end = time.thread_time() + costs[0]
        while time.thread_time() < end:
            pass
        looks.append(1)
        return 1000 * len(looks)

    monkeypatch.setattr("workbench.doors.rooms.bytes_in", counted)
    rooms = Rooms(tmp_path / "rooms", LIMITS, clock=lambda: now[0])
    with on_behalf_of(ANNA):
        assert rooms.use() == rooms.use() == 1000
        rooms.send(7)  # what is sent counts at once
        assert rooms.use() == 1007
        now[0] += 30 * costs[0]
        assert rooms.use() == 2007
        now[0] += 30 * costs[0]
        costs[0] = 0.0
        assert [rooms.use(), rooms.use()] == [3007, 4007]  # a small one is, so that it never says too little
    rooms.close()


def test_what_a_run_writes_and_renames_meanwhile_is_no_hindrance_to_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, walk = Rooms(tmp_path / "rooms", LIMITS), os.walk
    with on_behalf_of(ANNA):
        kept = rooms.workspace.folder / "kept"
        before = rooms.use()
        kept.write_bytes(b"x" * 1000)
        monkeypatch.setattr(
            os, "walk", lambda folder: ((at, dirs, [*names, "gone"]) for at, dirs, names in walk(folder))
        )
        assert rooms.use() == before + 1000
    rooms.close()
