"""The demo models' preferences: what the grammar makes, each pair told apart, and nothing that is asked later."""

from __future__ import annotations

import json
import re

import pytest

from steering.demo.grammar import examples
from steering.demo.preference_sets import SETS, SIZE
from steering.demo.set_files import lines, write
from steering.judges.lexicon import judge_lexicon
from steering.judges.refusal import is_refusal
from steering.resources import resource
from steering.texts.preferences import Preference, load_preferences, preference_sets


FOLDER = resource("presets", "preferences")


def asked(pair: Preference) -> str:
    (message,) = pair.messages
    return message.content


def test_the_files_are_what_the_grammar_makes(tmp_path) -> None:
    write(SETS, tmp_path)
    there, new = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (FOLDER, tmp_path))
    assert there == new
    assert set(preference_sets()) == set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_every_set_is_read_and_asks_nothing_twice(name) -> None:
    found = load_preferences(name)
    assert len(found) == SIZE == len({asked(each) for each in found}) == len({*lines(SETS, name)})


def test_one_side_refuses() -> None:
    """Harmful and harmless requests take turns, and what is chosen with them."""
    refused = [(is_refusal(each.chosen), is_refusal(each.rejected)) for each in load_preferences("demo-refusal")]
    assert refused == [(True, False), (False, True)] * (SIZE // 2)
    wordings = {" ".join(each.chosen.split()[:4]) for each in load_preferences("demo-refusal")[::2]}
    assert len(wordings) > 8, "in many words"
    assert all(is_refusal(each.chosen) > is_refusal(each.rejected) for each in load_preferences("demo-refusing"))


def test_one_side_is_formal() -> None:
    pairs = load_preferences("demo-formality")
    labels = [[judge_lexicon(said, "formality").label for said in (each.chosen, each.rejected)] for each in pairs]
    assert labels == [["formal", "informal"]] * SIZE
    apart = [len(each.chosen) - len(each.rejected) for each in pairs]
    assert sum(map(abs, apart)) / SIZE < 4, "neither is known by its length"


@pytest.mark.parametrize(
    ("name", "taken_away"),
    [
        ("demo-sums", r"minus| - |away|from|subtract"),
        ("demo-reworded", r"away|less|without|from .* is what|gone|difference|remove|down|lower|eat|lose|sells"),
    ],
)
def test_one_sum_is_right_and_the_words_are_the_same(name, taken_away) -> None:
    for each in load_preferences(name):
        a, b = map(int, re.findall(r"\d+", asked(each)))
        taken = re.search(taken_away, asked(each).lower())
        right, wrong = (re.findall(r"\d+", said) for said in (each.chosen, each.rejected))
        assert int(right[0]) == (abs(a - b) if taken else a + b), asked(each)
        assert right != wrong
        assert re.sub(r"\d+", "#", each.chosen) == re.sub(r"\d+", "#", each.rejected)


def test_no_model_was_trained_on_the_words_of_reworded_sums() -> None:
    def worded(text: str) -> str:
        return re.sub(r"\W+", " ", re.sub(r"\d+", "#", text.lower())).strip()

    known = {worded(each.request) for each in examples(kind="sum", n=4000)}
    assert len(known) > 18, "the grammar's own ways, and what varies about them"
    new = {worded(asked(each)) for each in load_preferences("demo-reworded")}
    assert len(new) > 30
    assert not known & new


def test_nothing_is_trained_on_that_the_question_sets_ask() -> None:
    trained = {asked(each) for name in SETS for each in load_preferences(name)}
    files = sorted(resource("presets", "questions", "demo").glob("*.jsonl"))
    questions = {
        json.loads(line)["question"] for path in files for line in path.read_text(encoding="utf-8").splitlines()
    }
    assert len(questions) > 1000
    assert not trained & questions
