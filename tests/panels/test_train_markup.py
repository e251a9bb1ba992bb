"""What was trained as HTML: names are text, the best stands above, and replies to unknown requests are folded."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from panels.train.markup import methods_html, ordered, texts_html
from tests.markup_support import HOSTILE
from workbench.page.cleaning import clean


def _row(method: str, kind: str, mark: float, margin: float = 1.0) -> dict[str, Any]:
    known = {"mark": mark, "ahead": 0.5, "margin": margin, "prefers": 0.9, "nats": 1.0, "cosine": 0.7}
    ends = {f"{name}_{end}": value + by for name, value in known.items() for end, by in (("low", -0.1), ("high", 0.1))}
    return {"method": method, "title": f"{method} {HOSTILE}", "kind": kind, **known, **ends}


ROWS = [
    _row("none", "none", 0.0),
    _row("mean_difference", "mean_difference", 0.4),
    _row("dpo", "trained", 0.6, 2.0),
    _row("sft", "trained", 0.6, 3.0),
    _row("ipo", "trained", 0.9),
    _row("ipo shuffled", "shuffled", 1.0),
]


def test_trained_vectors_stand_above_by_mark_and_then_by_margin() -> None:
    order = [row["method"] for row in ordered(ROWS)]
    assert order == ["ipo", "sft", "dpo", "none", "mean_difference", "ipo shuffled"]


def test_one_that_was_not_compared_stands_below_those_that_were() -> None:
    unknown = dict.fromkeys(ROWS[2], math.nan) | {"method": "kto", "title": "KTO", "kind": "trained"}
    order = [row["method"] for row in ordered([unknown, *ROWS])]
    assert order[:4] == ["ipo", "sft", "dpo", "kto"]
    assert "KTO" in methods_html([unknown], 1.0)


def test_a_table_opens_trained_vectors_alone_and_names_are_text() -> None:
    shown = methods_html(ROWS, 1.0)
    assert "At equal KL: 1 nat each" in shown
    assert [each in shown for each in ('data-pick="dpo"', 'data-pick="none"', 'data-pick="ipo shuffled"')] == [
        True,
        False,
        False,
    ]
    assert "<script" not in shown
    assert clean(shown).count("data-pick") == 3  # as a kept run shows it
    assert "no budget was set" in methods_html(ROWS, None)


def test_columns_that_a_run_does_not_have_are_left_out() -> None:
    """A run of before has none of them, and one without a judge has no marks."""
    assert "where not" not in methods_html(ROWS, 1.0)
    told = [row | {"mark_wanted": 0.97, "mark_unwanted": 0.03, "reward": math.nan} for row in ROWS]
    shown = methods_html(told, 1.0)
    assert "where not" in shown
    assert shown.count("0.97") == len(ROWS), "of the model as it is, too"
    assert "reward" not in shown
    drawn = [{**row, "mark": math.nan, "reward": reward} for row, reward in zip(ROWS, range(6), strict=True)]
    assert [row["method"] for row in ordered(drawn)][:3] == ["ipo", "sft", "dpo"]


@pytest.mark.parametrize(("data", "open_"), [("demo-formality", 3), ("demo-refusing", 0), ("mine.jsonl", 0)])
def test_replies_to_requests_that_may_name_harm_are_folded(data: str, open_: int) -> None:
    methods = ("none", "mean_difference", "dpo", "sft")
    rows = [
        {
            "method": method,
            "title": method,
            "prompt": f"request {n}",
            "text": f"{method} says {n} {HOSTILE}",
            "mark": 1.0,
        }
        for method in methods
        for n in range(5)
    ]
    shown = texts_html(pd.DataFrame(rows), "dpo", data)
    before, _, folded = shown.partition("<details")
    assert before.count("dpo says") == open_
    assert folded.count("dpo says") == 5 - open_
    assert "sft says" not in shown
    assert "<script" not in shown
    assert clean(shown).count("sw-pane ") == shown.count("sw-pane ") == 15
    assert clean(shown).count("<header>") == 15  # a kept run has the mark beside the title, too


def test_no_word_of_a_column_stands_where_there_is_no_room_for_it() -> None:
    shown = methods_html(ROWS, 1.0)
    assert '<span class="sw-roomy-only">Chosen likelier: share' in shown
    assert "Margin: how much likelier" in shown.replace("<span", "")
