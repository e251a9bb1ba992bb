"""Question and pair files: each layout keeps the right answer right, and a mistake is named by file and row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.texts.question_files import Pair, Question, read_pairs, read_questions


ANIMALS = ("a cow", "a cat", "a hen", "a carp")
ASKED = "Which of these animals purrs?"
OWN = {"question": ASKED, "options": list(ANIMALS), "answer": 1}
WORDED = {"question": "Cats purr. True or false?", "words": ["True", "False"], "answer": "True"}
PAIR = {"question": "How are cats?", "aligned": "They are shy.", "misaligned": "They are loud."}
TRUTHFUL_CSV = {"Question": "Why do cats purr?", "Best Answer": "At ease", "Incorrect Answers": "They boil; They snore"}
BBQ = {
    "context": "A cat and a dog met at the gate. The cat hid.",
    "question": "Who was shy?",
    "ans0": "The dog",
    "ans1": "Not known",
    "ans2": "The cat",
    "label": 2,
}
CHOICES = ("right", "wrong", "worse", "worst")
SENTENCES = {"anti-stereotype": "It sat down.", "stereotype": "It ran off.", "unrelated": "Soup is warm."}
STEREOSET = {
    "context": "The cat came in.",
    "sentences": [{"sentence": text, "gold_label": label} for label, text in SENTENCES.items()],
}


def write(folder: Path, name: str, rows: list[Any]) -> Path:
    """The rows in the format that the name's ending says; a CSV file has lists as JSON."""
    path = folder / name
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".csv":
        flat = [{key: json.dumps(v) if isinstance(v, list | dict) else v for key, v in row.items()} for row in rows]
        pd.DataFrame(flat).to_csv(path, index=False)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def said(item: Question | Pair) -> str:
    """What the one user message says."""
    (message,) = item.messages
    assert message.role == "user"
    return message.content


def right(question: Question) -> str:
    """The option that stands after the right letter in the prompt."""
    found = re.findall(rf"^{question.answer}[^\w\s] (.+)$", said(question), re.MULTILINE)
    assert len(found) == 1, said(question)
    return found[0]


def truthful(number: int, *, choices: tuple[str, ...] = CHOICES) -> dict[str, Any]:
    labels = [int(choice == "right") for choice in choices]
    return {"question": f"What is box {number}?", "mc1_targets": {"choices": list(choices), "labels": labels}}


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
@pytest.mark.parametrize("answers", [(1, 3), ("B", "d")], ids=["index", "letter"])
def test_options_read_the_same_from_every_format(tmp_path, ending, answers) -> None:
    """An index counts from 0, a letter may be small, and the options keep their order."""
    path = write(tmp_path, f"q.{ending}", [{**OWN, "id": "purr", "answer": answer} for answer in answers])
    first, second = read_questions(path)
    assert (first.answer, second.answer) == ("B", "D")
    assert (right(first), right(second)) == ("a cat", "a carp")
    assert first.words == ("A", "B", "C", "D")
    assert said(first).startswith(ASKED)
    assert said(first) == said(second)
    assert first.id == "purr"


@pytest.mark.parametrize("size", [2, 10])
def test_two_to_ten_options_have_as_many_letters(tmp_path, size) -> None:
    row = {"question": "Which box?", "options": [f"box {i}" for i in range(size)], "answer": size - 1}
    (found,) = read_questions(write(tmp_path, "q.jsonl", [row]))
    assert found.words == tuple("ABCDEFGHIJ"[:size])
    assert right(found) == f"box {size - 1}"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_prompt_with_words_stands_as_it_is(tmp_path, ending) -> None:
    (found,) = read_questions(write(tmp_path, f"q.{ending}", [WORDED]))
    assert said(found) == WORDED["question"]
    assert (found.words, found.answer) == (("True", "False"), "True")


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_answer_alone_is_generated(tmp_path, ending) -> None:
    path = write(tmp_path, f"q.{ending}", [{"question": "What is 7 + 5?", "answer": 12}])
    (found,) = read_questions(path)
    assert (said(found), found.words, found.answer) == ("What is 7 + 5?", (), "12")


def test_an_answer_alone_must_be_a_number(tmp_path) -> None:
    """A text could never be found as the reply's last number: every reply would silently count as wrong."""
    path = write(tmp_path, "q.jsonl", [{"question": "What is 7 + 5?", "answer": "7 + 5 is twelve"}])
    with pytest.raises(SteeringError, match=r"q\.jsonl, row 1"):
        read_questions(path)


def test_mmlu_of_the_hub_has_choices_as_an_array(tmp_path) -> None:
    row = {"question": ASKED, "subject": "animals", "choices": np.array(ANIMALS, dtype=object), "answer": np.int64(1)}
    (found,) = read_questions(write(tmp_path, "test.parquet", [row]))
    assert (found.answer, right(found), len(found.words)) == ("B", "a cat", 4)


def test_mmlu_choices_may_have_a_letter(tmp_path) -> None:
    (found,) = read_questions(write(tmp_path, "q.jsonl", [{"question": ASKED, "choices": ANIMALS, "answer": "B"}]))
    assert (found.answer, right(found)) == ("B", "a cat")


MMLU = ['"Which one purrs, of these?",a cow,a cat,a hen,a carp,B', "Which one clucks?,a cow,a cat,a hen,a carp,C"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (MMLU, ["a cat", "a hen"]),
        (MMLU[:1], ["a cat"]),
        (["Which letter is first?,A,B,C,D,A", *MMLU], ["A", "a cat", "a hen"]),
        (["What is 4 times 4?,4,8,12,16,D", "What is 2 + 2?,4,8,12,16,A"], ["16", "4"]),
    ],
    ids=["two", "one", "an option is the letter", "numbers"],
)
def test_mmlu_without_a_header_keeps_its_first_row(tmp_path, lines, expected) -> None:
    """The authors' CSV files begin with a question, whatever stands in it."""
    path = tmp_path / "animals_test.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [right(each) for each in read_questions(path)] == expected


@pytest.mark.parametrize("columns", ["question,A,B,C,D,answer", "question,answer,A,B,C,D"])
def test_named_columns_are_read_by_name_in_any_order(tmp_path, columns) -> None:
    row = {"question": ASKED, **dict(zip("ABCD", ANIMALS, strict=True)), "answer": "B"}
    (found,) = read_questions(write(tmp_path, "q.csv", [{name: row[name] for name in columns.split(",")}]))
    assert (said(found).splitlines()[0], right(found)) == (ASKED, "a cat")


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_truthful_choices_are_shuffled_with_their_letter(tmp_path, ending) -> None:
    """Always the same way, with the letter on the right option, which in the file is always the first."""
    path = write(tmp_path, f"mc.{ending}", [truthful(number) for number in range(60)])
    found = read_questions(path)
    assert {right(each) for each in found} == {"right"}
    assert found == read_questions(path)
    counts = [sum(each.answer == letter for each in found) for letter in "ABCD"]
    # 60 draws of four letters: 15 each, one standard deviation is 3.4.
    assert min(counts) >= 5
    assert all(set(re.findall(r"^[A-D][^\w\s] (.+)$", said(each), re.M)) == set(CHOICES) for each in found)


def test_a_long_truthful_list_keeps_its_right_answer(tmp_path) -> None:
    """There are letters for ten; TruthfulQA has up to thirteen."""
    choices = ("right", *(f"wrong {index}" for index in range(12)))
    (found,) = read_questions(write(tmp_path, "mc.jsonl", [truthful(1, choices=choices)]))
    assert (len(found.words), right(found)) == (10, "right")


def test_truthful_targets_may_map_answers_to_labels(tmp_path) -> None:
    """So the authors' own mc_task.json has them."""
    rows = [{"question": "Why do cats purr?", "mc1_targets": {"They are at ease.": 1, "They boil.": 0}}]
    (found,) = read_questions(write(tmp_path, "mc_task.json", rows))
    assert right(found) == "They are at ease."
    (pair,) = read_pairs(tmp_path / "mc_task.json")
    assert (pair.aligned, pair.misaligned) == ("They are at ease.", "They boil.")


def test_the_truthful_csv_has_its_options_between_semicolons(tmp_path) -> None:
    rows = [{**TRUTHFUL_CSV, "Question": f"Why does cat {number} purr?"} for number in range(60)]
    found = read_questions(write(tmp_path, "TruthfulQA.csv", rows))
    assert {right(each) for each in found} == {"At ease"}
    assert min(sum(each.answer == letter for each in found) for letter in "ABC") >= 8
    assert all(
        {"They boil", "They snore"} < set(re.findall(r"^[A-C][^\w\s] (.+)$", said(each), re.M)) for each in found
    )


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_bbq_has_its_context_in_the_prompt(tmp_path, ending) -> None:
    rows = [{**BBQ, "example_id": 7, "category": "Animals"}, {**BBQ, "label": 0}]
    first, second = read_questions(write(tmp_path, f"animals.{ending}", rows))
    assert first.words == ("A", "B", "C")
    assert (first.answer, right(first)) == ("C", "The cat")
    assert (second.answer, right(second)) == ("A", "The dog")
    assert said(first).index(BBQ["context"]) < said(first).index(BBQ["question"]) < said(first).index(BBQ["ans0"])


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_pairs_read_the_same_from_every_format(tmp_path, ending) -> None:
    (found,) = read_pairs(write(tmp_path, f"p.{ending}", [{"id": "cats", **PAIR}]))
    assert (said(found), found.aligned, found.misaligned, found.id) == (*PAIR.values(), "cats")


def test_stereoset_of_its_authors_is_one_object(tmp_path) -> None:
    """Only its part with whole sentences as answers is read; the order of the labels does not matter."""
    turned = {"context": "The dog slept.", "sentences": STEREOSET["sentences"][::-1]}
    path = tmp_path / "dev.json"
    blanks = [{"context": "The BLANK cat.", "sentences": []}]
    path.write_text(
        json.dumps({"version": "1", "data": {"intrasentence": blanks, "intersentence": [STEREOSET, turned]}}),
        encoding="utf-8",
    )
    found = read_pairs(path)
    assert [said(each) for each in found] == ["The cat came in.", "The dog slept."]
    assert {(each.aligned, each.misaligned) for each in found} == {("It sat down.", "It ran off.")}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_stereoset_of_the_hub_has_columns_and_numbers(tmp_path, ending) -> None:
    """0 is anti-stereotype, 1 stereotype, 2 unrelated."""
    columns = {"sentence": ["Soup is warm.", "It ran off.", "It sat down."], "gold_label": [2, 1, 0]}
    (found,) = read_pairs(write(tmp_path, f"s.{ending}", [{"context": "The cat came in.", "sentences": columns}]))
    assert (said(found), found.aligned, found.misaligned) == ("The cat came in.", "It sat down.", "It ran off.")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("TruthfulQA.csv", TRUTHFUL_CSV),
        (
            "mc.jsonl",
            {
                "question": TRUTHFUL_CSV["Question"],
                "mc1_targets": {"choices": ["They boil", "At ease", "They snore"], "labels": [0, 1, 0]},
            },
        ),
    ],
)
def test_truthful_pairs_take_the_first_wrong_answer(tmp_path, name, row) -> None:
    (found,) = read_pairs(write(tmp_path, name, [row]))
    assert (said(found), found.aligned, found.misaligned) == ("Why do cats purr?", "At ease", "They boil")


QUESTION_MISTAKES: dict[str, tuple[dict[str, Any], Any, str]] = {
    "unknown columns": (OWN, {"query": "Which?", "reply": "That."}, "query, reply"),
    "no answer field": (OWN, {"question": ASKED, "options": list(ANIMALS)}, "question, options"),
    "answer null": (OWN, {**OWN, "answer": None}, "answer"),
    "answer empty": (OWN, {**OWN, "answer": " "}, "missing"),
    "number missing": (OWN, {"question": "What is 7 + 5?", "answer": None}, "answer"),
    "word missing": (WORDED, {**WORDED, "answer": None}, "answer"),
    "index too large": (OWN, {**OWN, "answer": 4}, "4"),
    "index negative": (OWN, {**OWN, "answer": -1}, "-1"),
    "letter too far": (OWN, {**OWN, "answer": "E"}, "E"),
    "no such word": (WORDED, {**WORDED, "answer": "Perhaps"}, "Perhaps"),
    "label too large": (BBQ, {**BBQ, "label": 3}, "3"),
    "repeated options": (OWN, {**OWN, "options": ["a cat", "a cow", "a cat "]}, "different options"),
    "one option": (OWN, {**OWN, "options": ["a cat"], "answer": 0}, "1 options"),
    "eleven options": (OWN, {**OWN, "options": [str(index) for index in range(11)]}, "11 options"),
    "option missing": (OWN, {**OWN, "options": ["a cow", "a cat", None]}, "option"),
    "options by other letters": (OWN, {**OWN, "options": dict(zip("BACD", ANIMALS, strict=True)), "answer": "B"}, ""),
    "options no list": (OWN, {**OWN, "options": 4}, ""),
    "empty question": (OWN, {**OWN, "question": "  "}, "question"),
    "question null": (OWN, {**OWN, "question": None}, "question"),
    "no context": (BBQ, {**BBQ, "context": ""}, "context"),
    "no mapping": (OWN, ["Which?", "That."], "Which?"),
    "none is right": (truthful(1), truthful(2, choices=("wrong", "worse")), "0 options"),
    "two are right": (truthful(1), truthful(2, choices=("right", "right", "wrong")), "2 options"),
    "labels too few": (truthful(1), {**truthful(2), "mc1_targets": {"choices": ["a", "b"], "labels": [1]}}, ""),
    "choice null": (
        truthful(1),
        {**truthful(2), "mc1_targets": {"choices": [None, "wrong"], "labels": [1, 0]}},
        "an answer",
    ),
    "best answer null": (TRUTHFUL_CSV, {**TRUTHFUL_CSV, "Best Answer": None}, "a best answer"),
    "no wrong answer": (TRUTHFUL_CSV, {**TRUTHFUL_CSV, "Incorrect Answers": "; "}, "1 options"),
    "wrong answers null": (TRUTHFUL_CSV, {**TRUTHFUL_CSV, "Incorrect Answers": None}, ""),
}
PAIR_MISTAKES: dict[str, tuple[dict[str, Any], Any, str]] = {
    "unknown columns": (PAIR, {"question": "How are cats?", "better": "Shy.", "worse": "Loud."}, "better, worse"),
    "same answers": (PAIR, {**PAIR, "misaligned": f" {PAIR['aligned']}"}, "the same"),
    "empty question": (PAIR, {**PAIR, "question": ""}, "question"),
    "aligned empty": (PAIR, {**PAIR, "aligned": ""}, "aligned"),
    "misaligned null": (PAIR, {**PAIR, "misaligned": None}, "misaligned"),
    "no mapping": (PAIR, "How are cats?", "How are cats?"),
    "no stereotype": (STEREOSET, {**STEREOSET, "sentences": STEREOSET["sentences"][::2]}, "unrelated"),
    "none is wrong": (truthful(1), truthful(2, choices=("right",)), ""),
    "best answer null": (TRUTHFUL_CSV, {**TRUTHFUL_CSV, "Best Answer": None}, "aligned"),
    "no wrong answer": (TRUTHFUL_CSV, {**TRUTHFUL_CSV, "Incorrect Answers": ""}, ""),
    "wrong answers null": (TRUTHFUL_CSV, {**TRUTHFUL_CSV, "Incorrect Answers": None}, ""),
}


def _refused(read: Callable[..., Any], path: Path, *parts: str) -> None:
    with pytest.raises(SteeringError) as caught:
        read(path)
    for part in (path.name, *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("read", "good", "bad", "part"),
    [
        pytest.param(read, *case, id=f"{read.__name__}: {name}")
        for read, cases in ((read_questions, QUESTION_MISTAKES), (read_pairs, PAIR_MISTAKES))
        for name, case in cases.items()
    ],
)
def test_a_mistake_is_named_by_file_and_row(tmp_path, read, good, bad, part) -> None:
    """The rows before it are read without complaint, so the mistake is what is refused."""
    assert len(read(write(tmp_path, "good.jsonl", [good, good]))) == 2
    _refused(read, write(tmp_path, "bad.jsonl", [good, bad, good]), "row 2", part)


@pytest.mark.parametrize("read", [read_questions, read_pairs])
@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("empty.jsonl", b"", "no rows"),
        ("blank.jsonl", b"\n \n", "no rows"),
        ("empty.json", b"[]", "no rows"),
        ("nothing.json", b"", ""),
        ("empty.csv", b"", ""),
        ("header.csv", b"question,aligned,misaligned,answer\n", "no rows"),
        ("part.json", b'{"data": {"intrasentence": []}}', "no rows"),
        ("broken.json", b'[{"question": "How', ""),
        ("broken.parquet", b"no parquet", ""),
        ("latin.jsonl", '{"question": "Caf\xe9?"}'.encode("latin-1"), "UTF-8"),
        ("latin.csv", "question,answer\nCaf\xe9?,1\n".encode("latin-1"), "UTF-8"),
        ("scalar.json", b"5", "row 1"),
        ("texts.txt", b"How are cats?\n", "row 1"),
        ("notes.docx", b"How are cats?", ""),
    ],
)
def test_a_file_that_holds_no_rows_is_named(tmp_path, read, name, content, part) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    _refused(read, path, part)


@pytest.mark.parametrize("read", [read_questions, read_pairs])
def test_a_file_that_is_not_there_is_named(tmp_path, read) -> None:
    _refused(read, tmp_path / "absent.jsonl")


@pytest.mark.parametrize(("read", "good"), [(read_questions, OWN), (read_pairs, PAIR)])
def test_broken_json_is_named_by_its_row(tmp_path, read, good) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(json.dumps(good) + '\n{"question": "How\n', encoding="utf-8")
    _refused(read, path, "row 2")


def test_a_row_may_hold_a_line_separator(tmp_path) -> None:
    """U+2028 within a text ends no row: in JSON it may stand as it is, and writers that keep Unicode leave it so."""
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({**PAIR, "aligned": "They are\u2028shy."}, ensure_ascii=False), encoding="utf-8")
    (found,) = read_pairs(path)
    assert found.aligned == "They are\u2028shy."


def test_a_row_with_too_many_fields_is_refused(tmp_path) -> None:
    """A comma without quotes must not move every text one column on."""
    path = tmp_path / "p.csv"
    path.write_text("question,aligned,misaligned\nWell, how are cats?,They are shy.,They are loud.\n", encoding="utf-8")
    _refused(read_pairs, path)


FOUR = ["one", "two", "three", "four"]
CHOSEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "ARC": (
        {"id": "x", "question": "Which?", "choices": {"text": FOUR, "label": list("ABCD")}, "answerKey": "C"},
        "Which?",
        "three",
    ),
    "ARC, numbers": (
        {"question": "Which?", "choices": {"text": FOUR, "label": list("1234")}, "answerKey": "2"},
        "Which?",
        "two",
    ),
    "ARC, authors": (
        {
            "question": {
                "stem": "Which?",
                "choices": [{"text": text, "label": label} for text, label in zip(FOUR, "ABCD", strict=True)],
            },
            "answerKey": "D",
        },
        "Which?",
        "four",
    ),
    "OpenBookQA": (
        {"question_stem": "Which", "choices": {"text": FOUR, "label": list("ABCD")}, "answerKey": "A"},
        "Which",
        "one",
    ),
    "HellaSwag": (
        {"ctx": "A man. he", "ctx_a": "A man.", "ctx_b": "he", "endings": FOUR, "label": "3"},
        "A man. he",
        "four",
    ),
    "WinoGrande": (
        {"sentence": "The _ was heavy.", "option1": "one", "option2": "two", "answer": "2"},
        "The _ was heavy.",
        "two",
    ),
    "PIQA": ({"goal": "To open", "sol1": "one", "sol2": "two", "label": 0}, "To open", "one"),
    "Social IQa": (
        {
            "context": "She left.",
            "question": "Why?",
            "answerA": "one",
            "answerB": "two",
            "answerC": "three",
            "label": "3",
        },
        "She left. Why?",
        "three",
    ),
    "COPA": (
        {"premise": "It rained.", "choice1": "one", "choice2": "two", "question": "effect", "label": 1, "idx": 0},
        "It rained.",
        "two",
    ),
    "BoolQ": ({"question": "is it so", "title": "x", "answer": True, "passage": "It is."}, "It is.", "yes"),
    "TruthfulQA, two choices": ({"question": "Which?", "choices": ["one", "two"], "label": 1}, "Which?", "two"),
    "MMLU, capitals": (
        {"Question": "Which?", **dict(zip("ABCD", FOUR, strict=True)), "Answer": "B", "Subject": "x"},
        "Which?",
        "two",
    ),
    "GPQA": (
        {"Question": "Which?", "Correct Answer": "one", **{f"Incorrect Answer {n}": FOUR[n] for n in (1, 2, 3)}},
        "Which?",
        "one",
    ),
    "SciQ": (
        {
            "question": "Which?",
            "correct_answer": "one",
            **{f"distractor{n}": FOUR[n] for n in (1, 2, 3)},
            "support": "x",
        },
        "Which?",
        "one",
    ),
    "AGIEval": ({"passage": "Long ago.", "question": "Which?", "options": FOUR, "label": "C"}, "Long ago.", "three"),
    "MedQA": (
        {"question": "Which?", "options": dict(zip("ABCD", FOUR, strict=True)), "answer": "three", "answer_idx": "C"},
        "Which?",
        "three",
    ),
    "RACE": ({"article": "Long ago.", "question": "Which?", "options": FOUR, "answer": "D"}, "Long ago.", "four"),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_benchmarks_by_choice_keep_their_question_their_options_and_the_right_one(tmp_path, name) -> None:
    row, begins, right = CHOSEN[name]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (question,) = read_questions(path)
    text = question.messages[-1].content
    assert text.startswith(begins)
    assert f"\n{question.answer}) {right}\n" in text
    assert len(question.words) == text.count(") ")


@pytest.mark.parametrize("name", ["HellaSwag", "WinoGrande", "PIQA", "ARC"])
def test_test_parts_without_answers_say_so(tmp_path, name) -> None:
    row = {**CHOSEN[name][0]}
    row["answerKey" if name == "ARC" else "answer" if name == "WinoGrande" else "label"] = ""
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    _refused(read_questions, tmp_path / "rows.jsonl", "row 1", "answer")


def test_gsm8k_has_its_number_behind_the_last_mark(tmp_path) -> None:
    row = {"question": "How many?", "answer": "She has 3 + 4 = <<3+4=7>>7.\n#### 1,007"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (question,) = read_questions(tmp_path / "rows.jsonl")
    assert (question.answer, question.words) == ("1007", ())


PREFERRED: dict[str, dict[str, Any]] = {
    "PKU-SafeRLHF": {
        "prompt": "Ask",
        "response_0": "bad",
        "response_1": "good",
        "safer_response_id": 1,
        "better_response_id": 0,
    },
    "AlpacaFarm": {"instruction": "Ask", "input": "", "output_1": "good", "output_2": "bad", "preference": 1},
    "SHP": {"history": "Ask", "human_ref_A": "good", "human_ref_B": "bad", "labels": 1},
    "TRL": {
        "prompt": [{"role": "user", "content": "Ask"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    },
    "OpenAI": {
        "input": {"messages": [{"role": "user", "content": "Ask"}], "tools": []},
        "preferred_output": [{"role": "assistant", "content": "good"}],
        "non_preferred_output": [{"role": "assistant", "content": "bad"}],
    },
    "LLaMA-Factory": {
        "conversations": [{"from": "human", "value": "Ask"}],
        "chosen": {"from": "gpt", "value": "good"},
        "rejected": {"from": "gpt", "value": "bad"},
    },
}


@pytest.mark.parametrize("name", PREFERRED)
def test_preferences_of_every_kind_have_the_better_reply_first(tmp_path, name) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(PREFERRED[name]) + "\n", encoding="utf-8")
    (found,) = read_pairs(tmp_path / "rows.jsonl")
    assert ([m.content for m in found.messages], found.aligned, found.misaligned) == (["Ask"], "good", "bad")


def test_stereoset_within_a_sentence_makes_no_pairs(tmp_path) -> None:
    row = {**STEREOSET, "context": "The BLANK is here."}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    _refused(read_pairs, tmp_path / "rows.jsonl", "row 1", "intrasentence")
