"""Uploads kept by their content: there on another day, one for two of the same, each visitor's own, had back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from steering.confines import Confines, confined
from steering.errors import SteeringError
from steering.texts.text_lists import read_texts
from tests.workbench.asking import asked_by
from workbench.bench import Workbench
from workbench.controls.field import choice, section
from workbench.controls.fields import place_fields
from workbench.library.uploads import Uploads
from workbench.page.context import PanelContext
from workbench.page.state import PageState
from workbench.workspace import Workspace


ROWS = "goal,target\nDo it.,Sure\nDo that.,Sure\n"


def file(folder: Path, name: str = "adv.csv", text: str = ROWS) -> Path:
    path = folder / hashlib.sha256((name + text).encode()).hexdigest() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def test_a_file_is_there_on_another_day_although_what_was_sent_is_gone(home: Workspace, tmp_path: Path) -> None:
    sent = file(tmp_path / "sent")
    kept = home.uploads.add(sent, "texts", 2)
    sent.unlink()
    assert kept.digest == hashlib.sha256(ROWS.encode()).hexdigest()
    again = Workspace(home.folder)
    assert again.uploads.find() == [kept]
    assert (kept.name, kept.kinds, kept.size) == ("adv.csv", {"texts": 2}, len(ROWS))
    assert read_texts(kept.source) == read_texts(file(tmp_path))  # a command names it in the same way
    page = Confines(tmp_path / "none", hub=False, models=frozenset(), library=home.uploads.files)
    with confined(page):
        assert len(read_texts(kept.source)) == 2
    with confined(Confines(tmp_path / "none", hub=False, models=frozenset())), pytest.raises(SteeringError):
        read_texts(kept.source)


def test_what_lies_beside_the_contents_is_no_upload(home: Workspace, tmp_path: Path) -> None:
    kept = home.uploads.add(file(tmp_path), "texts", 2, owner="secret number")
    assert list((home.folder / "uploads" / "about").iterdir())
    page = Confines(tmp_path / "none", hub=False, models=frozenset(), library=home.uploads.files)
    ways = [
        f"../about/{kept.digest}.json",
        f"{kept.digest}/../../about/{kept.digest}.json",
        f"about/{kept.digest}.json",
    ]
    with confined(page):
        for way in ways:
            with pytest.raises(SteeringError):
                read_texts(f"upload:{way}")


def test_two_files_of_one_content_are_one(home: Workspace, tmp_path: Path) -> None:
    first = home.uploads.add(file(tmp_path), "texts", 2)
    second = home.uploads.add(file(tmp_path, "other.csv"), "contrast", 1)
    (one,) = home.uploads.find()
    assert first.digest == second.digest == one.digest
    assert (one.name, one.when, one.kinds) == ("other.csv", first.when, {"texts": 2, "contrast": 1})
    assert [home.uploads.find(kind=kind) for kind in ("texts", "contrast", "pairs")] == [[one], [one], []]
    assert read_texts(first.source) == read_texts(second.source)  # both names are read


def test_visitors_see_and_remove_their_own_alone(home: Workspace, tmp_path: Path) -> None:
    mine = home.uploads.add(file(tmp_path), "texts", 2, owner="one")
    home.uploads.add(file(tmp_path, "theirs.csv"), "texts", 2, owner="two")
    assert [each.name for each in home.uploads.find("one")] == ["adv.csv"]
    assert [each.name for each in home.uploads.find("two")] == ["theirs.csv"]
    assert home.uploads.find("nobody") == []
    with pytest.raises(SteeringError, match="not kept"):
        home.uploads.remove(mine.digest, "nobody")
    removed = home.uploads.remove(mine.digest, "one")
    assert home.uploads.find("one") == []
    assert len(read_texts(home.uploads.find("two")[0].source)) == 2  # the other's stays
    with pytest.raises(SteeringError):
        home.restore(removed.id, "two")
    assert home.restore(removed.id, "one") == "adv.csv"
    assert home.uploads.find("one") == [mine]


def test_what_is_removed_stays_on_the_disk_until_the_end(home: Workspace, tmp_path: Path) -> None:
    kept = home.uploads.add(file(tmp_path), "texts", 2)
    before = home.version
    removed = home.uploads.remove(kept.digest)
    assert home.version > before
    assert home.uploads.find() == []
    page = Confines(tmp_path / "none", hub=False, models=frozenset(), library=home.uploads.files)
    with confined(page), pytest.raises(SteeringError):
        read_texts(kept.source)
    assert home.restore(removed.id) == "adv.csv"
    assert home.uploads.find() == [kept]
    home.uploads.remove(kept.digest)
    home.bin.close()
    assert [path for path in home.folder.rglob("*") if path.suffix == ".csv"] == []


def test_a_content_that_was_uploaded_again_meanwhile_takes_back_what_was_removed(
    home: Workspace, tmp_path: Path
) -> None:
    removed = home.uploads.remove(home.uploads.add(file(tmp_path), "texts", 2).digest)
    home.uploads.add(file(tmp_path), "contrast", 1, owner="two")
    home.restore(removed.id)
    (one,) = home.uploads.find()
    assert one.kinds == {"texts": 2, "contrast": 1}
    assert home.bin.find() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"": 5}', '{"": {"name": "../../shelf.json", "when": "x"}}'])
def test_what_is_damaged_is_not_listed_and_stops_nothing(home: Workspace, tmp_path: Path, content: str) -> None:
    kept = home.uploads.add(file(tmp_path), "texts", 2)
    other = home.uploads.add(file(tmp_path, text="goal\nAnother.\n"), "texts", 1)
    (home.folder / "uploads" / "about" / f"{kept.digest}.json").write_text(content)
    assert home.uploads.find() == [other]
    assert home.uploads.add(file(tmp_path), "texts", 2).source == kept.source  # and mended by uploading it again


def test_a_full_disk_is_said_and_leaves_nothing(
    home: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workbench.library.uploads.shutil.copyfile", full)
    with pytest.raises(SteeringError, match="No space left"):
        home.uploads.add(file(tmp_path), "texts", 2)
    assert home.uploads.find() == []


def test_a_form_keeps_what_is_uploaded_and_offers_it_to_its_visitor(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path / "home")
    bench.only_here = False
    bench.confined_to = Confines(
        tmp_path / "sent", hub=False, models=frozenset(), library=bench.workspace.uploads.files
    )
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), "Test", "test")
        field = choice("data", "Data", own=True, upload="Upload", upload_kind="texts")
        form: Any = place_fields(ui, "test", [section("", field)])
    sent = {"field": "data", "path": str(file(tmp_path / "sent"))}
    said = form.take(sent, asked_by("one"))
    (kept,) = bench.workspace.uploads.find("one", "texts")
    assert said["value"] == kept.source
    assert said["kept"] == ("adv.csv · 2 rows", kept.source, "adv.csv")
    assert form.preprocess({"data": said["value"]}).values() == {"data": kept.source}
    (watch,) = ui.watches
    for visitor, known in (("one", [said["kept"]]), ("two", []), ("", [])):
        assert watch.call(visitor=visitor)[form]["library"] == {"texts": known}
        json.dumps(watch.call(visitor=visitor)[form]["library"])
    wrong = form.take({"field": "data", "path": str(file(tmp_path / "sent", "empty.csv", ""))}, asked_by("one"))
    assert set(wrong) == {"said"}
    assert len(bench.workspace.uploads.find()) == 1
    bench.lane.close()


def test_many_uploads_are_told_apart(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads", Workspace(tmp_path / "home").bin)
    for n in range(5):
        uploads.add(file(tmp_path, text=f"goal\n{n}\n"), "texts", 1)
    assert len({each.digest for each in uploads.find()}) == 5
