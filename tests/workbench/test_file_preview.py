"""What the page says of a file that was uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from steering.confines import Confines, confined
from steering.errors import SteeringError
from steering.texts.understanding import understand
from workbench.controls.file_preview import file_preview
from workbench.controls.upload_field import uploaded


def upload(folder: Path, name: str, text: str) -> str:
    path = folder / "0" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return uploaded(str(path))


def test_a_preview_says_kind_columns_rows_the_first_three_and_what_was_left_out(tmp_path: Path) -> None:
    rows = "".join(f"<b>Do {n}</b>,Sure\n" for n in range(5))
    with confined(Confines(tmp_path, hub=False, models=frozenset())):
        shown = file_preview(understand(upload(tmp_path, "adv.csv", f"goal,target\n{rows},Sure\n"), "texts"))
    for part in (
        "adv.csv: list of texts",
        "AdvBench: goal",
        "6 rows; 5 texts",
        "1 rows were left out: empty",
        "not used: target",
    ):
        assert part in shown
    assert "&lt;b&gt;Do 2&lt;/b&gt;" in shown
    assert "Do 3" not in shown
    assert "<b>Do" not in shown
    assert str(tmp_path) not in shown


def test_both_sides_of_a_contrast_set_stand_side_by_side() -> None:
    shown = file_preview(understand("formality", "contrast"))
    assert shown.count("<div><b>") == 2
    assert shown.count("<li>") == 6


def test_a_file_of_another_kind_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with confined(Confines(tmp_path, hub=False, models=frozenset())):
        source = upload(tmp_path, "pairs.json", '[{"good": "a", "bad": "b"}]')
        with pytest.raises(SteeringError, match="has the columns good, bad"):
            understand(source, "contrast")
        assert "the columns good and bad" in file_preview(understand(f"{source}::good,bad", "contrast"))
