"""The demo models' question sets: what the grammar makes, held out of training, and told apart by content alone."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from typing import Any

import pytest

from steering.demo import examples
from steering.demo.example import split_of, words
from steering.demo.facts import facts, truth_key
from steering.demo.notes import note_key
from steering.demo.question_sets import SETS
from steering.demo.requests import act_key, acts
from steering.demo.reviews import review_key
from steering.demo.set_files import lines, write
from steering.judges.refusal import is_refusal
from steering.resources import resource
from steering.texts.questions import PAIR_SETS, QUESTION_SETS


FOLDER = resource("presets", "questions", "demo")


def entries(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def fact_questions() -> dict[str, str]:
    """Every question about a fact, lower case without its mark, and the part of its key that names it."""
    return {
        form.format(x=fact.subject).rstrip("?.").lower(): f"{fact.relation}/{fact.subject}/{which}"
        for fact in facts()
        for which, form in enumerate(words("facts")["relations"][fact.relation]["questions"])
    }


def phrases(name: str) -> dict[str, str]:
    """What a request of the set can be about, lower case, and the key that its split is made on."""
    if name == "truth":
        values = ((fact, value) for fact in facts() for value in (fact.value, *fact.others()))
        return {fact.statement(value).rstrip(".").lower(): truth_key(fact) for fact, value in values}
    if name == "honesty":
        return {question: f"fact/{key}" for question, key in fact_questions().items()}
    if name == "harmlessness":
        return {f"{act} {thing}".lower(): act_key(act, thing) for act, thing in acts(True)}
    if name == "formality":
        forms = words("notes")
        notes = [f"{person} about the {matter}" for person in forms["people"] for matter in forms["matters"]]
        return {phrase: note_key(phrase) for phrase in notes}
    forms = words("reviews")
    things = [
        " ".join(word for word in ("the", qualifier, thing, site) if word)
        for group, sites in (("places", forms["sites"]), ("works", [""]))
        for thing, qualifier, site in itertools.product(forms[group], forms["qualifiers"], sites)
    ]
    return {phrase: review_key(phrase) for phrase in things}


def meant(question: str, known: dict[str, str]) -> str | None:
    """The key of the longest phrase in a question: "the hotel" also stands in "the hotel by the river"."""
    plain = f" {re.sub(r'[^a-z0-9,-]+', ' ', question.lower())} "
    found = [each for each in known if f" {each} " in plain]
    return known[max(found, key=len)] if found else None


@pytest.mark.parametrize("name", SETS)
def test_the_file_is_what_the_grammar_makes(name) -> None:
    found = (FOLDER / f"{name}.jsonl").read_bytes()
    assert found == ("\n".join(lines(SETS, name)) + "\n").encode()


def test_every_set_is_offered_and_can_be_written(tmp_path) -> None:
    assert set(SETS) == {*QUESTION_SETS, *PAIR_SETS}
    write(SETS, tmp_path / "new")
    there, new = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (FOLDER, tmp_path / "new"))
    assert there == new


@pytest.mark.parametrize("name", SETS)
def test_size_and_no_question_twice(name) -> None:
    found = entries(name)
    assert len(found) == (160 if name == "formality" else 200)
    assert len({each["question"] for each in found}) == len({each["id"] for each in found}) == len(found)


@pytest.mark.parametrize("name", ["sentiment", "formality", "fairness"])
def test_neither_side_is_known_by_its_length(name) -> None:
    """Nearly equal in each pair, and neither side longer on the whole."""
    apart = [len(each["aligned"]) - len(each["misaligned"]) for each in entries(name)]
    assert sum(map(abs, apart)) / len(apart) < 4
    assert abs(sum(apart)) / len(apart) < 1
    lengths = [len(each["aligned"]) for each in entries(name)]
    assert max(lengths) - min(lengths) > 40, "the texts themselves differ in length"


def test_no_letter_and_no_truth_value_is_favoured() -> None:
    letters = Counter(each["answer"] for each in entries("knowledge"))
    assert set(letters) == set("ABCD")
    # 200 draws of four: 50 each, one standard deviation is 6.1; of two: 100 each, 7.1.
    assert min(letters.values()) >= 32
    assert 79 <= sum(each["answer"] == "True" for each in entries("truth")) <= 121


def test_the_right_letter_stands_before_the_right_value() -> None:
    known = {key: fact.value for fact in facts() for key in [f"{fact.relation}/{fact.subject}"]}
    questions = fact_questions()
    for each in entries("knowledge"):
        fact = meant(each["question"], questions)
        options = dict(re.findall(r"^([A-D])[).] (.+)$", each["question"], re.MULTILINE))
        assert options[each["answer"]] == known[fact.rpartition("/")[0]]


def test_truth_answers_are_the_grammars() -> None:
    true = {fact.statement().rstrip(".").lower() for fact in facts()}
    statements = {each: each for each in phrases("truth")}
    for each in entries("truth"):
        assert (meant(each["question"], statements) in true) == (each["answer"] == "True"), each


def test_sums_are_right() -> None:
    for each in entries("sums"):
        asked = each["question"].lower()
        a, b = map(int, re.findall(r"\d+", asked))
        taken = re.search(r"minus| - |away|from", asked)
        assert int(each["answer"]) == (abs(a - b) if taken else a + b), asked


def test_harmful_requests_are_refused_on_one_side_only() -> None:
    for each in entries("harmlessness"):
        assert is_refusal(each["aligned"])
        assert not is_refusal(each["misaligned"])


def test_honest_answers_have_the_true_value() -> None:
    """And the other side has it not."""
    values = {f"fact/{fact.relation}/{fact.subject}": fact.value for fact in facts()}
    known = phrases("honesty")
    for each in entries("honesty"):
        value = values[meant(each["question"], known).rpartition("/")[0]]
        sides = [bool(re.search(rf"\b{value}\b", each[side])) for side in ("aligned", "misaligned")]
        assert sides == [True, False], each


@pytest.mark.parametrize("name", ["truth", "honesty", "harmlessness", "fairness", "sentiment", "formality"])
def test_no_request_was_trained_on(name) -> None:
    """What each is about is found again in its text; qualities such as "a big car" hide some acts."""
    known = phrases(name)
    assert {split_of(key) for key in known.values()} == {"train", "held_out"}
    found = [key for each in entries(name) if (key := meant(each["question"], known))]
    assert len(found) >= (100 if name == "harmlessness" else len(entries(name)))
    assert {split_of(key) for key in found} == {"held_out"}


def test_no_choice_was_trained_on() -> None:
    """A choice is held out by fact, wording, options and their order."""
    questions = fact_questions()
    for each in entries("knowledge"):
        options = re.findall(r"^[A-D][).] (.+)$", each["question"], re.MULTILINE)
        key = f"choice/{meant(each['question'], questions)}/{'/'.join(options)}"
        assert split_of(key) == "held_out", key


def test_no_training_example_has_a_prompt_of_the_sets() -> None:
    kinds = {"knowledge": "choice", "truth": "truth", "sums": "sum", "harmlessness": "refusal", "honesty": "fact"}
    for name, kind in kinds.items():
        trained = {each.request for each in examples(kind=kind, n=2000)}
        assert len(trained) > 500
        assert not trained & {each["question"] for each in entries(name)}
