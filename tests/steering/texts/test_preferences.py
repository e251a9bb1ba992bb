"""Preference files: every layout gives the same pairs, labels say what is wanted, and what is no pair is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.model.prompts import Message
from steering.texts.preferences import (
    Labelled,
    Preference,
    load_labelled,
    load_preferences,
    one_sided,
)
from steering.texts.understanding import understand


ASKED, GOOD, BAD = "How are cats?", "They are shy.", "They are loud."
ROW = {"prompt": ASKED, "chosen": GOOD, "rejected": BAD}
USER = {"role": "user", "content": ASKED}
EARLIER = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]
EARLIER += [{"role": "assistant", "content": "Hello!"}, USER]


def reply(said: str) -> dict[str, str]:
    return {"role": "assistant", "content": said}


def write(folder: Path, name: str, rows: list[Any]) -> str:
    path = folder / name
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


PAIRS: dict[str, tuple[dict[str, Any], int]] = {
    "texts": (ROW, 1),
    "capitals": ({"Prompt": ASKED, "Chosen": GOOD, "Rejected": BAD}, 1),
    "messages": ({"prompt": [USER], "chosen": [reply(GOOD)], "rejected": [reply(BAD)]}, 1),
    "shared beginning": ({"chosen": [*EARLIER, reply(GOOD)], "rejected": [*EARLIER, reply(BAD)]}, 4),
    "beside its prompt": ({"prompt": ASKED, "chosen": [USER, reply(GOOD)], "rejected": [USER, reply(BAD)]}, 1),
    "transcripts": (
        {side: f"\n\nHuman: {ASKED}\n\nAssistant: {said}" for side, said in (("chosen", GOOD), ("rejected", BAD))},
        1,
    ),
    "system": ({**ROW, "system": "Be brief."}, 2),
    "own names": ({"question": ASKED, "aligned": GOOD, "misaligned": BAD}, 1),
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_layout_gives_the_same_pair(tmp_path, name) -> None:
    """What both sides share is the request, however much that is."""
    row, turns = PAIRS[name]
    (found,) = load_preferences(write(tmp_path, "p.jsonl", [row]))
    assert (found.chosen, found.rejected, found.where) == (GOOD, BAD, "p.jsonl, row 1")
    assert len(found.messages) == turns
    assert found.messages[-1] == Message("user", ASKED)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_every_format_gives_the_same_pairs(tmp_path, ending) -> None:
    found = load_preferences(write(tmp_path, f"p.{ending}", [ROW, {**ROW, "chosen": "Quiet."}]))
    assert [each.chosen for each in found] == [GOOD, "Quiet."]
    assert {(each.messages, each.rejected) for each in found} == {((Message("user", ASKED),), BAD)}


def test_two_columns_can_be_chosen(tmp_path) -> None:
    path = write(tmp_path, "p.jsonl", [{"prompt": ASKED, "loud": BAD, "shy": GOOD}])
    (found,) = load_preferences(f"{path}::shy,loud")
    assert (found.chosen, found.rejected) == (GOOD, BAD)
    with pytest.raises(SteeringError, match=r"row 1, has the fields prompt, loud, shy"):
        load_preferences(path)


LABELLED: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "booleans": ("", [{"prompt": ASKED, "completion": c, "label": c == GOOD} for c in (GOOD, BAD)]),
    "words": (
        "",
        [{"question": ASKED, "response": GOOD, "wanted": "Yes"}, {"question": ASKED, "response": BAD, "wanted": "no"}],
    ),
    "numbers": ("", [{"prompt": ASKED, "output": GOOD, "label": 1.0}, {"prompt": ASKED, "output": BAD, "label": -1}]),
    "messages": ("", [{"prompt": [USER], "completion": [reply(c)], "label": c == GOOD} for c in (GOOD, BAD)]),
    "a conversation": ("", [{"messages": [USER, reply(c)], "label": c == GOOD} for c in (GOOD, BAD)]),
    "a column of its own": ("::is_safe", [{"prompt": ASKED, "response": c, "is_safe": c == GOOD} for c in (GOOD, BAD)]),
    "pairs": ("", [ROW]),
}


@pytest.mark.parametrize("name", LABELLED)
def test_labels_say_which_reply_is_wanted(tmp_path, name) -> None:
    chosen, rows = LABELLED[name]
    found = load_labelled(write(tmp_path, "l.jsonl", rows) + chosen)
    assert [(each.messages, each.completion, each.wanted) for each in found] == [
        ((Message("user", ASKED),), GOOD, True),
        ((Message("user", ASKED),), BAD, False),
    ]


ONE = {"prompt": ASKED, "completion": GOOD, "label": True}
WRONG: dict[str, tuple[list[dict[str, Any]], str]] = {
    "equal": ([ROW, {**ROW, "rejected": GOOD}], r"p\.jsonl, row 2: Both answers are the same"),
    "equal but for blanks": (
        [{"chosen": [USER, reply(GOOD)], "rejected": [USER, reply(f"{GOOD} ")]}],
        "row 1: both replies",
    ),
    "empty": ([ROW, {**ROW, "chosen": " "}], "row 2: The row lacks a chosen reply"),
    "missing": ([{"prompt": ASKED, "chosen": GOOD}], "row 1, has the fields prompt, chosen"),
    "other beginnings": (
        [{"chosen": [USER, reply(GOOD)], "rejected": [*EARLIER, reply(BAD)]}],
        "row 1: The two conversations",
    ),
    "no request": ([{"chosen": GOOD, "rejected": BAD}], "row 1: The request is missing"),
    "other columns": ([{"better": GOOD, "worse": BAD}], "row 1, has the fields better, worse"),
    "a label alone": ([ONE], "two replies a row"),
}
WRONG_LABELS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "one class": ([ONE, ONE], r"All 2 replies of p\.jsonl are wanted"),
    "no label": ([ONE, {**ONE, "label": ""}], "row 2, field label: ''"),
    "a third kind": ([ONE, {**ONE, "label": "maybe"}], "row 2, field label: 'maybe'"),
    "empty": ([ONE, {**ONE, "completion": "", "label": False}], "row 2, field completion is missing or empty"),
    "no reply": ([{"prompt": ASKED, "label": True}], "row 1, has the columns prompt, label, and no reply"),
    "no request": ([{"completion": GOOD, "label": True}], "row 1: the request is missing"),
    "other columns": ([{"prompt": ASKED, "completion": GOOD}], "whether it is wanted"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_pair_is_refused_with_its_row(tmp_path, name) -> None:
    rows, said = WRONG[name]
    with pytest.raises(SteeringError, match=said):
        load_preferences(write(tmp_path, "p.jsonl", rows))


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_what_is_no_labelled_reply_is_refused_with_its_row(tmp_path, name) -> None:
    rows, said = WRONG_LABELS[name]
    with pytest.raises(SteeringError, match=said):
        load_labelled(write(tmp_path, "p.jsonl", rows))


def test_pairs_give_both_replies_by_themselves() -> None:
    asked = (Message("user", ASKED),)
    assert one_sided([Preference(asked, GOOD, BAD, "a row")]) == (
        Labelled(asked, GOOD, True, "a row"),
        Labelled(asked, BAD, False, "a row"),
    )


def test_what_a_file_holds_is_told(tmp_path) -> None:
    pairs = understand(write(tmp_path, "p.jsonl", [ROW]))
    assert "preferences" in pairs.also
    rows = LABELLED["booleans"][1]
    told = understand(write(tmp_path, "l.jsonl", rows), "preferences")
    assert (told.counts, told.first) == (
        "1 wanted and 1 unwanted replies",
        ((ASKED, GOOD, "yes"), (ASKED, BAD, "no")),
    )
    assert understand("demo-sums", "preferences").counts == "300 preference pairs"


def test_an_unknown_set_names_those_that_ship() -> None:
    with pytest.raises(SteeringError, match="demo-formality, demo-refusal"):
        load_preferences("demo-manners")
