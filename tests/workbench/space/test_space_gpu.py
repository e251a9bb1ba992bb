"""A Space whose GPU is another process's: what a visitor sees is what a workbench without one shows."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.resources import resource
from steering.texts.contrast import ContrastSet
from tests.programs import Program
from tests.workbench.runs.every_study import TINY
from workbench.space.check import _answers, _replied
from workbench.space.visitor import Visitor, text_of


STAND_IN = Path(__file__).parent / "stand_in"
PANELS = ("vectors", "steer", "grid", "refusal", "tradeoff", "probe", "odd", "locked")
APP = """
import sys
sys.path.insert(0, sys.argv[1])
import spaces
from workbench import discovery
discovery.BUILT_IN = (*discovery.BUILT_IN, "odd_panel", "locked_panel")
from workbench.space.app import start
from workbench.space.settings import Space
print("begins", flush=True)
start(Space(panels=tuple(sys.argv[2:]), gpu_seconds=100, limits=("rows=1000000",)))
"""


class Served:
    """The Space, and what the stand-in was asked."""

    def __init__(self, address: str, log: Path) -> None:
        self.address = address
        self._log = log

    def visitor(self, name: str) -> Visitor:
        """Somebody whom Hugging Face would know by a token."""
        return Visitor(self.address, headers={"x-ip-token": name})

    @property
    def said(self) -> list[dict[str, Any]]:
        """Every line of the stand-in."""
        text = self._log.read_text(encoding="utf-8") if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Every call of the door so far."""
        return [line for line in self.said if "asked" in line]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("space"), zero=True) as space:
        yield space


@contextlib.contextmanager
def served(folder: Path, *, zero: bool) -> Iterator[Served]:
    """The Space on ZeroGPU, or on a machine without it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPACES_ZERO_GPU", "true" if zero else "")
        patch.setenv("STAND_IN_LOG", str(folder / "log.jsonl"))
        patch.setenv("GRADIO_SERVER_NAME", "127.0.0.1")
        patch.setenv("GRADIO_SERVER_PORT", str(port))
        program = Program(APP, STAND_IN, *(PANELS if zero else PANELS[:2]), said=folder / "said.txt")
    try:
        yield _once_it_answers(Served(f"http://127.0.0.1:{port}", folder / "log.jsonl"), program)
    finally:
        program.send(signal.SIGTERM)
        program.wait()


def _once_it_answers(served: Served, program: Program) -> Served:
    program.first_line()
    with Visitor(served.address) as visitor:
        for _ in range(600):
            with contextlib.suppress(SteeringError):
                visitor.open("/")
                return served
            time.sleep(0.1)
    raise AssertionError("The Space does not answer.")


def press(visitor: Visitor, path: str, button: str, values: dict[str, Any] | None = None) -> Visitor:
    visitor.open(path)
    for _ in visitor.press(button, values):
        pass
    return visitor


def odd(visitor: Visitor, how: str, panel: str = "odd") -> Visitor:
    """Run the odd panel, whose form has one setting."""
    return press(visitor, f"/{panel}", f"{panel}-run", {f"{panel}-fields": {"how": how}})


def replies(visitor: Visitor) -> list[str]:
    return [text_of(pane["now"]) for pane in visitor.value("panes")]


def test_replies_are_those_of_a_workbench_without_a_fork(space: Served, demo: Host) -> None:
    vector = extract(demo, ContrastSet.load("formality"))
    recipe = Recipe(interventions=(Intervention(vector=vector.name, strength=vector.suggested_strength),))
    prompt = render(demo, "Write a note to my boss about the meeting.")
    rows = [Row(prompt), Row(prompt, plan_of(recipe, demo, {vector.name: vector}))]
    expected = [" ".join(reply.text.split()) for reply in generate(demo, rows, recipe.decode)]
    assert expected[0] != expected[1]
    with space.visitor("anna") as visitor:
        press(visitor, "/steer", "start")
        assert not visitor.errors()
        assert [re.sub(r"\s+([.,!?])", r"\1", text) for text in replies(visitor)] == expected
    assert all(
        each["seconds"] < 30 for each in space.asked
    )  # a vector and two replies: less than what is asked uncounted
    assert space.said[0]["packed"] > 50  # since when a pass in the page's own process gives NaN


def test_on_a_cpu_the_same_app_has_no_door(tmp_path: Path) -> None:
    with served(tmp_path, zero=False) as space, Visitor(space.address) as visitor:
        assert _answers(visitor) == ""
        told = _replied(visitor)
        assert told.good, told.detail
        assert not space.asked
        visitor.open("/")
        assert "Hugging Face takes" not in visitor.markup()


def test_a_page_may_send_several_events_at_once(space: Served) -> None:
    """On ZeroGPU Gradio lets one wait and answers the others with an error, if it is not told otherwise."""
    assert space.said[0]["waiting"] > 100


def test_visitors_one_after_another_have_one_process_and_their_own_time(space: Served) -> None:
    before = len(space.asked)
    for name in ("bert", "carla"):
        with space.visitor(name) as visitor:
            assert not odd(visitor, "well").errors()
    first, second = space.asked[before:]
    assert (first["token"], second["token"]) == ("bert", "carla")
    assert first["pid"] == second["pid"] != 0
    assert {first["asked"], second["asked"]} == {"on_gpu"}
    assert (
        first["seconds"] == second["seconds"] == 10 + 1.5 * 12
    )  # to begin, and what the panel counts with some to spare


def test_what_is_found_is_the_other_processes(space: Served) -> None:
    with space.visitor("dora") as visitor:
        odd(visitor, "well")
        said = visitor.markup()
    assert f"number {space.asked[-1]['pid']}" in said
    assert ">cuda<" in said
    assert "The note of an odd run." in said


@pytest.mark.parametrize(
    ("how", "said"),
    [("mistake", "It was a mistake. Expected something else."), ("fault", "ZeroDivisionError: by naught")],
)
def test_what_goes_wrong_there_is_a_card_here(space: Served, how: str, said: str) -> None:
    with space.visitor("emil") as visitor:
        (card,) = odd(visitor, how).errors()
    assert said.replace(" ", "") in card.replace(" ", "")
    pid = space.asked[-1]["pid"]
    with space.visitor("emil") as visitor:
        assert not odd(visitor, "well").errors()
    assert space.asked[-1]["pid"] == pid


def test_a_process_that_dies_is_a_card_and_the_next_run_has_another(space: Served) -> None:
    with space.visitor("frida") as visitor:
        (card,) = odd(visitor, "death").errors()
        assert "GPU task aborted" in card
        dead = space.asked[-1]["pid"]
        assert not odd(visitor, "well").errors()
    assert space.asked[-1]["pid"] != dead


def test_stop_ends_it_there_too(space: Served) -> None:
    with space.visitor("gina") as visitor:
        visitor.open("/odd")
        going = visitor.press("odd-run", {"odd-fields": {"how": "forever"}})
        while "for ever" not in visitor.markup():
            next(going)
        visitor.push("odd-stop")
        for _ in going:
            pass
        assert not visitor.errors()
        assert "stopped at 1 / 2" in visitor.markup()
        pid = space.asked[-1]["pid"]
        assert not odd(visitor, "well").errors()  # which the same process could not do while the other went on
    assert space.asked[-1]["pid"] == pid


def test_what_cannot_go_there_is_said_before_it_runs(space: Served) -> None:
    before = len(space.asked)
    with space.visitor("hans") as visitor:
        (card,) = odd(visitor, "well", "locked").errors()
    assert "cannot be done on a Space" in card
    assert "lock" in card
    assert len(space.asked) == before


def test_a_run_that_would_take_too_long_is_refused_before_it_runs(space: Served) -> None:
    before = len(space.asked)
    with space.visitor("ilse") as visitor:
        (card,) = press(visitor, "/refusal", "refusal-effects-run").errors()
    assert "of a GPU at once" in card
    assert "at most 100 s on this Space" in card
    assert len(space.asked) == before


FORMS = {
    "refusal": ("refusal-candidates-run", "refusal-map-bypass", {}),
    "tradeoff": ("tradeoff-run", "tradeoff-plane", {"recipe-t": {"interventions": [{"vector": "formality"}]}}),
    "probe": ("probe-run", "probe-curves", {}),
}


@pytest.mark.parametrize("panel", FORMS)
def test_studies_fill_their_page_as_they_go(space: Served, panel: str) -> None:
    button, figure, more = FORMS[panel]
    tiny = {name: value for name, value in TINY[panel].items() if name not in ("recipes", "last_only", "arms")}
    tiny |= {"cause": []} if panel == "probe" else {}
    with space.visitor("jana") as visitor:
        visitor.open("/vectors")
        for _ in visitor.press("extract"):
            pass
        visitor.open(f"/{panel}")
        form = {**visitor.value(f"{panel}-fields"), **tiny}
        drawn = []
        for _ in visitor.press(button, {f"{panel}-fields": form, **more}):
            drawn.append(json.dumps(visitor.value(figure)))
        assert not visitor.errors()
    assert drawn[0] == "null"
    assert "traces" in drawn[-1]


def test_each_visitor_sees_their_own_and_is_told_what_is_kept(space: Served) -> None:
    with space.visitor("karl") as one, space.visitor("lena") as other:
        press(one, "/vectors", "extract")
        for visitor, there in ((one, 1), (other, 0)):
            visitor.open("/steer")
            assert len(visitor.value("shelf")["cards"]) == there
        one.open("/")
        said = text_of(one.markup())
    assert "This page is public" in said
    assert "removed 60 minutes after your last visit" in said
    assert "No weights are saved" in said
    assert "at most 100, which Hugging Face takes from your own time" in said


def test_too_much_for_one_visitor_is_refused_before_it_runs(space: Served) -> None:
    before = len(space.asked)
    with space.visitor("mona") as visitor:
        visitor.open("/grid")
        recipe = {"interventions": [], "decode": {**visitor.value("recipe-g")["decode"], "max_new_tokens": 500}}
        for _ in visitor.press("grid-run", {"recipe-g": recipe, "grid-x": "prompt", "grid-x-values": "Hello."}):
            pass
        (card,) = visitor.errors()
    assert "500 tokens" in card
    assert "at most 128 here" in card
    assert len(space.asked) == before


def test_no_other_model_and_no_weights_are_to_be_had(space: Served) -> None:
    weights = resource("assets", "models", "demo", "model.safetensors")
    assert weights.is_file()
    with space.visitor("nora") as visitor:
        (card,) = press(visitor, "/steer", "load", {"model-fields": {"name": "demo-base"}}).errors()
        assert "'demo-base'" in card
        assert visitor.fetch(f"/gradio_api/file={weights}").status_code in (403, 404)
