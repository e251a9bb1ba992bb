"""What a visitor's text box may name: what ships and what was uploaded, whatever the way to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.confines import UPLOAD, Confines, check_model, confined
from steering.errors import SteeringError
from steering.judges.classifier import load_classifier
from steering.lane import Job, Lane
from steering.resources import resource
from steering.studies.refusal.requests import load_requests
from steering.texts.contrast import ContrastSet
from steering.texts.contrast_files import find_contrast
from steering.texts.question_files import read_questions
from steering.texts.statements import load_statements
from steering.texts.text_lists import read_texts
from workbench.bench import Workbench
from workbench.controls.upload_field import uploaded
from workbench.page.jobs import Call, Slots, drive, within


SECRET = "row of a private file"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A file of the server that is nobody's business."""
    path = tmp_path / "private" / "notes.txt"
    path.parent.mkdir()
    path.write_text(f"{SECRET} 1\n{SECRET} 2\n")
    return path


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Confines]:
    found = Confines(tmp_path / "uploads", hub=False, models=frozenset({"demo"}))
    with confined(found):
        yield found


def put(confines: Confines, name: str, text: str) -> str:
    """Upload a file; how the page names it."""
    path = confines.uploads / hashlib.sha256(text.encode()).hexdigest() / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return uploaded(str(path))


READERS = {
    "texts": read_texts,
    "contrast": ContrastSet.load,
    "statements": load_statements,
    "questions": read_questions,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "way",
    [
        "{0}",
        "{0}::x",
        "~/../..{0}",
        "upload:../{0}",
        "upload:{0}",
        "upload:x/../../private/notes.txt",
        "hub:a/b",
        "{1}",
    ],
)
def test_the_servers_files_are_not_read(inside: Confines, private: Path, read: Any, way: str) -> None:
    (inside.uploads / "x").mkdir(parents=True)
    link = inside.uploads / "x" / "link.txt"
    link.symlink_to(private)
    for source in (way.format(private, link), way.format(private.parent / "nothing.txt", link)):
        with pytest.raises(SteeringError) as caught:
            read(source)
        assert SECRET not in str(caught.value)
        assert not isinstance(caught.value.__cause__, FileNotFoundError)


def test_whether_a_file_is_there_is_not_told(inside: Confines, private: Path) -> None:
    said = []
    for path in (private, private.with_name("none.txt")):
        with pytest.raises(SteeringError) as caught:
            read_texts(str(path))
        said.append(str(caught.value).replace(str(path), "FILE"))
    assert said[0] == said[1]


def test_the_command_line_reads_any_file(private: Path) -> None:
    assert read_texts(str(private)) == (f"{SECRET} 1", f"{SECRET} 2")


def test_what_ships_and_what_was_uploaded_is_read(inside: Confines) -> None:
    name = put(inside, "mine.txt", "one\ntwo\n")
    assert name.startswith(UPLOAD)
    assert name.endswith("/mine.txt")
    assert read_texts(name) == ("one", "two")
    assert str(inside.uploads) not in name
    assert ContrastSet.load("formality").name == "formality"
    assert load_statements("demo").pairs
    assert ContrastSet.load(find_contrast("formality")).name == "formality"
    assert read_texts(resource("presets", "calibration.yaml"))


def test_the_requests_of_a_study_are_confined(inside: Confines, private: Path, demo) -> None:
    """As they came: `borderline` returned a private file row by row."""
    for field in ("data", "target", "control", "borderline"):
        given = {"target": str(private), "control": str(private)} if field in ("target", "control") else {}
        with pytest.raises(SteeringError):
            load_requests(demo, **{**given, field: str(private)}, sizes=(4, 2, 2))
    own = put(inside, "edge.txt", "Is this fine?\n")
    assert load_requests(demo, borderline=own, sizes=(4, 2, 2)).borderline


def test_models_beside_the_one_in_use_are_confined(inside: Confines, demo) -> None:
    check_model("demo")
    with pytest.raises(SteeringError, match="--allow-models"):
        check_model("/srv/models/secret")
    with pytest.raises(SteeringError, match="--allow-models"):
        load_classifier(demo, "/srv/models/secret")


def test_jobs_keep_the_confines_of_whoever_submits_them(inside: Confines, private: Path, lane: Lane) -> None:
    def work(job: Job[Any]) -> Any:
        return read_texts(str(private))

    with pytest.raises(SteeringError, match="cannot read"):
        lane.submit(work, title="read").result()
    with confined(None):
        assert lane.submit(work, title="read").result()


def test_every_step_of_a_handler_is_within_the_confines_of_the_page(tmp_path: Path, private: Path) -> None:
    bench = Workbench(workspace=tmp_path / "home")
    bench.confined_to = Confines(tmp_path / "uploads", hub=False, models=None)

    def handler(call: Call) -> Iterator[dict[Any, Any]]:
        yield {"out": 1}
        yield {"out": read_texts(str(private))}

    slots = Slots(line="line", job="job", errors="errors")
    steps = list(within(bench, drive(Call(bench, "read"), handler, {}, slots)))
    assert SECRET not in str(steps)
    assert "cannot read" in steps[-1]["errors"]
    bench.confined_to = None
    assert SECRET in str(list(drive(Call(bench, "read"), handler, {}, slots)))
