"""A dictionary that is uploaded as a ZIP is one of the workspace's, and what is none is refused and leaves nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from steering.confines import Confines, confined
from steering.dictionaries.loading import dictionaries_at_hand, load_dictionary
from steering.errors import SteeringError
from steering.resources import resource
from workbench.library import packed_dictionary
from workbench.library.packed_dictionary import keep_dictionary


SHIPPED = resource("assets", "dictionaries", "demo", "block-1-sae")


def _packed(path: Path, *, without: str = "", folders: tuple[str, ...] = ("",), text: bytes | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for folder in folders:
            for part in SHIPPED.iterdir():
                if part.name != without:
                    content = text if text is not None and part.suffix == ".safetensors" else part.read_bytes()
                    archive.writestr(f"{folder}{part.name}", content)
        archive.writestr("../../readme.md", "of no dictionary, so that nobody reads it")
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "dictionaries"


def test_a_dictionary_of_a_zip_is_at_hand_by_its_name_once(tmp_path: Path, home: Path) -> None:
    given = _packed(tmp_path / "my sae.zip", folders=("deep/my-sae/",))
    with confined(Confines(tmp_path, hub=True, models=None, dictionaries=home, any_dictionary=True)):
        name = keep_dictionary(given, home)
        assert name == "my sae"
        assert name in dictionaries_at_hand()
        assert load_dictionary(name).digest == load_dictionary("demo/block-1-sae").digest
        assert keep_dictionary(_packed(tmp_path / "another.zip"), home) == name  # the same weights
    assert {path.name for path in tmp_path.rglob("*.md")} <= {"readme.md"}
    assert not list(tmp_path.parent.rglob("readme.md"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"without": "cfg.json"}, "holds no cfg.json"),
        ({"without": "sae_weights.safetensors"}, "holds no sae_weights.safetensors"),
        ({"folders": ("one/", "two/")}, "2 times"),
        ({"text": b"no weights"}, "sae_weights.safetensors"),
    ],
)
def test_what_is_no_dictionary_leaves_nothing(tmp_path: Path, home: Path, given: dict[str, object], said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        keep_dictionary(_packed(tmp_path / "given.zip", **given), home)  # type: ignore[arg-type]
    assert not home.exists() or not list(home.iterdir())


def test_damaged_and_large_files_are_refused(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none.zip").write_bytes(b"no archive")
    with pytest.raises(SteeringError, match="cannot be read as a ZIP"):
        keep_dictionary(tmp_path / "none.zip", home)
    whole = _packed(tmp_path / "whole.zip")
    content = whole.read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[:200] + b"\0" * 400 + content[600:])
    with pytest.raises(SteeringError):
        keep_dictionary(tmp_path / "cut.zip", home)
    monkeypatch.setattr(packed_dictionary, "MOST_BYTES", 100_000)
    with pytest.raises(SteeringError, match="holds more than"):
        keep_dictionary(whole, home)


def test_a_folder_is_named_where_only_this_machine_reaches_the_page_alone(tmp_path: Path) -> None:
    for own in (True, False):
        page = Confines(tmp_path / "none", hub=own, models=None, any_dictionary=own)
        (tmp_path / str(own)).mkdir()
        for part in SHIPPED.iterdir():
            (tmp_path / str(own) / part.name).write_bytes(part.read_bytes())
        with confined(page):
            if own:
                assert load_dictionary(tmp_path / "True").reads == (1, "block_output")
                continue
            for source in (str(tmp_path / "False"), "/no/such/folder", "gpt2-small-res-jb/blocks.8.hook_resid_pre"):
                with pytest.raises(SteeringError, match="others can reach it too"):
                    load_dictionary(source)
