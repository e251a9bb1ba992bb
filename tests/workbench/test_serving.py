"""What visitors of a served page may load, who is listening, and how a page ends."""

from __future__ import annotations

import asyncio
import signal
import stat
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from tests.programs import Program
from workbench.bench import Workbench
from workbench.frame.shell import build


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A workbench whose loads are noted and not done."""
    made = Workbench(workspace=tmp_path / "home")
    loads: list[tuple[str, bool]] = []
    monkeypatch.setattr(made.model, "load", lambda name, options: loads.append((name, options.trust_remote_code)))
    monkeypatch.setattr(made, "loads", loads, raising=False)
    return made


def test_code_of_a_model_runs_for_the_one_that_is_trusted_alone(bench: Any) -> None:
    bench.trusted = "org/own-code"
    asked = LoadOptions(trust_remote_code=True)
    for name in ("org/own-code", "org/other", ""):
        bench.load(name, asked)
    assert bench.loads == [("org/own-code", True), ("org/other", False), ("", False)]
    bench.trusted = ""
    bench.load("", asked)
    assert bench.loads[-1] == ("", False)


def test_a_base_that_a_visitor_names_is_allowed_and_trusted_by_itself(bench: Any) -> None:
    bench.trusted = "org/own-code"
    bench.load("org/own-code", LoadOptions(base="org/other"))  # the other's code would run
    bench.load("org/adapter", LoadOptions(base="org/own-code"))
    bench.load("org/adapter", LoadOptions())
    assert [trusts for _, trusts in bench.loads] == [False, True, False]
    bench.visitors_load = frozenset({"demo", "org/adapter"})
    bench.load("org/adapter", LoadOptions(base="demo"))
    with pytest.raises(SteeringError, match=r"'/srv/base'.*--allow-models"):
        bench.load("org/adapter", LoadOptions(base="/srv/base"))


def test_the_base_in_the_form_is_the_base_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = Workbench(workspace=tmp_path / "home"), []

    def load(name: str, options: LoadOptions) -> None:
        asked.append((name, options.base))
        raise SteeringError("Not now.")

    monkeypatch.setattr(made, "load", load)
    page = build(made)
    press, *_ = [  # the same on every page
        each for each in page.fns.values() if "model-fields" in [getattr(part, "elem_id", "") for part in each.inputs]
    ]
    request = gr.Request(session_hash="somebody")
    for base in (" org/base ", ""):
        (form,) = press.inputs
        filled = form.given({**form.value, "name": " lora ", "base": base})
        assert any("Not now" in str(step) for step in press.fn(request, filled))
    assert asked == [("lora", "org/base"), ("lora", None)]


def test_visitors_load_what_is_allowed(bench: Any) -> None:
    bench.visitors_load = frozenset({"demo-base"})
    bench.load("demo-base", LoadOptions())
    for name in ("demo", "/etc", "../x", ""):
        with pytest.raises(SteeringError, match="--allow-models"):
            bench.load(name, LoadOptions())
    bench.visitors_load = frozenset()
    with pytest.raises(SteeringError, match="the same for all visitors"):
        bench.load("demo", LoadOptions())
    assert bench.loads == [("demo-base", False)]


def test_what_the_browser_does_alone_cannot_be_asked_of_the_server(tmp_path: Path) -> None:
    page = build(Workbench(workspace=tmp_path / "home"))
    alone = [event for event in page.fns.values() if event.fn is None]
    assert alone
    for event in alone:
        with pytest.raises(gr.Error, match="by the page itself"):
            asyncio.run(page.process_api(event, [None] * len(event.inputs)))


SERVE = """
import sys, threading
import torch
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame import serving
from workbench.frame.shell import launch
from workbench.runs.run import Run

serving._PATIENCE = {patience}
up = threading.Event()

def work(job):
    big = torch.randn(300, 300)
    up.wait()
    print("running", flush=True)
    while True:
        for _ in range(50):
            big @ big
        {check}

bench = Workbench(workspace=sys.argv[1])
gone = bench.runs.begin(Run("", "grid", "", "demo"))
bench.runs.end(gone, "done")
bench.runs.delete(gone)
bench.lane.submit(work, title="busy")
launch("demo", Entrance(port=0), bench=bench, tell=lambda address: up.set())
print("ended", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "check", "patience"), [(signal.SIGINT, "job.check()", 8), (signal.SIGTERM, "pass", 1)]
)
def test_a_served_page_ends_in_order_while_a_job_runs(tmp_path: Path, number: int, check: str, patience: int) -> None:
    """Also where the job looks for no stop, as a load does not."""
    code = SERVE.format(check=check, patience=patience)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = Program(code, tmp_path, said=tmp_path / "said", whole=True, TMPDIR=temporary, GRADIO_TEMP_DIR="")
    try:
        assert server.first_line() == "running"
        uploads = list(temporary.glob("steering-uploads-*"))
        assert [stat.S_IMODE(folder.stat().st_mode) for folder in uploads] == [0o700]
        server.send(number)
        returned, said = server.wait()
    finally:
        server.end()
    assert returned == 0, said
    assert "terminate called" not in said
    assert "Traceback" not in said
    assert ("ended" in said) == (check != "pass")
    # What was deleted goes with the page; of one that is cut off, with the next look at the list.
    assert any((tmp_path / "runs").glob("*/run.json")) == (check == "pass")
    assert any(folder.exists() for folder in uploads) == (check == "pass")  # a process that has to be cut off leaves it
