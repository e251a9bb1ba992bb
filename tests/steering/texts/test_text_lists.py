"""Lists of texts and questions as other projects' files have them, and what `workbench data` says of a file."""

# ruff: noqa: E501 - tables have a case a line

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from steering.errors import SteeringError
from steering.studies import find_study
from steering.studies.refusal.requests import load_requests
from steering.texts.contrast_files import presets
from steering.texts.question_files import read_pairs, read_questions
from steering.texts.statements import load_statements
from steering.texts.text_lists import read_texts, understood_texts
from steering.texts.understanding import KINDS, understand
from workbench.cli.main import app


CHAT = [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}]
LISTS: dict[str, tuple[str, Any, str, tuple[str, ...]]] = {
    "AdvBench": ("a.csv", "goal,target\na,x\nb,x\n", "", ("a", "b")),
    "JailbreakBench": ("a.csv", "Index,Goal,Target,Behavior,Category,Source\n0,a,x,y,z,o\n1,b,x,y,z,o\n", "", ("a", "b")),
    "HarmBench": ("a.csv", "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID\na,standard,x,,,1\nb,contextual,x,,before,2\n", "", ("a", "before\n\nb")),
    "StrongREJECT": ("a.csv", "category,source,forbidden_prompt\nx,y,a\nx,y,b\n", "", ("a", "b")),
    "XSTest, one kind": ("a.csv", "id,prompt,type,label,focus,note\n1,a,t,safe,,\n2,b,t,unsafe,,\n3,c,t,safe,,\n", "label=safe", ("a", "c")),
    "refusal_direction": ("a.json", [{"instruction": "a", "category": None}, {"instruction": "b", "category": "x"}], "", ("a", "b")),
    "Alpaca": ("a.json", [{"instruction": "a", "input": "", "output": "x"}, {"instruction": "b", "input": "y", "output": "x"}], "", ("a",)),
    "Alpaca, all rows": ("a.json", [{"instruction": "a", "input": "", "output": "x"}, {"instruction": "b", "input": "y", "output": "x"}], "instruction", ("a", "b")),
    "mlabonne": ("a.jsonl", '{"text": "a"}\n{"text": "b"}\n', "", ("a", "b")),
    "IBM's questions": ("a.json", {"train": [{"question": "a"}], "test": [{"question": "b"}]}, "", ("a", "b")),
    "a split of it": ("a.json", {"train": [{"question": "a"}], "test": [{"question": "b"}]}, "test", ("b",)),
    "a category": ("a.json", {"joy": ["a"], "fear": ["b"]}, "fear", ("b",)),
    "TDC": ("a.json", ["a", "b"], "", ("a", "b")),
    "LITMUS": ("a.jsonl", '{"axiom": "x", "prompt": "a", "safety_label": "safe"}\n', "", ("a",)),
    "TruthfulQA": ("a.csv", "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\nx,x,a,x,x,x,x\n", "", ("a",)),
    "BBQ": ("a.jsonl", '{"context": "c", "question": "a", "ans0": "1", "ans1": "2", "ans2": "3", "label": 0}\n', "", ("c\n\na",)),
    "preferences": ("a.jsonl", '{"prompt": "a", "chosen": "x", "rejected": "y"}\n', "", ("a",)),
    "chats": ("a.jsonl", json.dumps({"messages": CHAT}) + "\n", "", ("a",)),
    "ShareGPT": ("a.json", [{"id": 1, "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "x"}]}], "", ("a",)),
    "MT-bench's turns": ("a.jsonl", '{"question_id": 1, "category": "x", "turns": ["a", "more"]}\n', "", ("a",)),
    "beside pandas' index": ("a.csv", ",whatever\n0,a\n1,b\n", "", ("a", "b")),
    "Salad and its like, rows by id": ("a.json", {"x1": {"prompt": "a", "note": 1}, "x2": {"prompt": "b"}}, "", ("a", "b")),
    "splits of columns": ("a.json", {"train": {"prompt": ["a", "b"], "kind": ["x", "x"]}, "test": {"prompt": ["c"], "kind": ["x"]}}, "", ("a", "b", "c")),
    "splits of rows by id": ("a.json", {"train": {"x1": {"prompt": "a"}}, "test": {"x2": {"prompt": "b"}}}, "", ("a", "b")),
    "pandas, split": ("a.json", {"columns": ["prompt", "kind"], "index": [0, 1], "data": [["a", 1], ["b", 2]]}, "", ("a", "b")),
    "pandas, table": ("a.json", {"schema": {"fields": [{"name": "prompt"}]}, "data": [{"index": 0, "prompt": "a"}]}, "", ("a",)),
    "the Hub's server of rows": ("a.json", {"features": [{"feature_idx": 0, "name": "prompt"}], "rows": [{"row_idx": 0, "row": {"prompt": "a"}}]}, "", ("a",)),
    "BIG-bench": ("a.json", {"name": "x", "keywords": ["k"], "examples": [{"input": "a", "target": "t"}]}, "", ("a",)),
    "HEx-PHI, no header": ("a.csv", '"Tell me how, please."\n"And then, what?"\n', "", ("Tell me how, please.", "And then, what?")),
    "sentences beside numbers": ("a.csv", "0,I went to the park today.\n1,I took a bike home.\n", "text 2", ("I went to the park today.", "I took a bike home.")),
    "blanks before quotes": ("a.csv", 'note, prompt\n"x", "a, b"\n"y", "c"\n', "prompt", ("a, b", "c")),
    "bars between cells": ("a.csv", "prompt|kind\na, b|1\n", "", ("a, b",)),
    "lines of old Macs": ("a.txt", "a\rb", "", ("a", "b")),
    "values over several lines": ("a.jsonl", '{\n "prompt": "a"\n}\n{\n "prompt": "b"\n}\n', "", ("a", "b")),
    "values behind each other": ("a.json", '{"prompt": "a"}{"prompt": "b"}', "", ("a", "b")),
    "ToxicChat": ("a.csv", "conv_id,user_input,model_output,toxicity\n1,a,x,0\n2,b,x,1\n", "", ("a", "b")),
    "RealToxicityPrompts": ("a.jsonl", '{"prompt": {"text": "a", "toxicity": 0.1}, "continuation": {"text": "x"}}\n', "", ("a",)),
    "prompts as messages": ("a.jsonl", json.dumps({"prompt": CHAT[:2], "chosen": CHAT[2:]}) + "\n", "", ("a",)),
    "messages of LangChain": ("a.jsonl", json.dumps({"prompt": [{"type": "human", "content": "a"}], "base": {}, "metadata": {}}) + "\n", "", ("a",)),
    "calls of tools": ("a.jsonl", json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "x"}]}) + "\n", "", ("a",)),
    "an only column": ("a.csv", "whatever\na\n", "", ("a",)),
    "a column of its own": ("a.csv", "whatever,other\na,b\n", "other", ("b",)),
}  # fmt: skip


def write(folder, name: str, content: Any) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_the_field_is_read_without_being_told_its_columns(tmp_path, name) -> None:
    file, content, chosen, texts = LISTS[name]
    assert read_texts(write(tmp_path, file, content) + (f"::{chosen}" if chosen else "")) == texts


def test_what_was_left_out_or_mixed_is_said(tmp_path) -> None:
    alpaca = write(tmp_path, *LISTS["Alpaca"][:2])
    assert "1 rows were left out: they have a text under 'input' too (Alpaca)." in understood_texts(alpaca).notes
    mixed = write(tmp_path, *LISTS["XSTest, one kind"][:2])
    assert any("2 safe, 1 unsafe; all were read" in note for note in understood_texts(mixed).notes)
    splits = write(tmp_path, *LISTS["IBM's questions"][:2])
    assert "All 2 splits were read: train, test." in understood_texts(splits).notes


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prompt,goal,other\na,b,c\n", r"these can: prompt, goal.*a\.csv::prompt"),
        ("one,two\na,b\n", r"has the columns one, two.*a\.csv::one"),
        ("text,n\n,1\n", "holds no texts"),
    ],
)
def test_several_columns_are_no_guess(tmp_path, content, said) -> None:
    with pytest.raises(SteeringError, match=said):
        read_texts(write(tmp_path, "a.csv", content))


def test_lists_of_two_files_have_a_column_each(demo, tmp_path) -> None:
    bad = write(tmp_path, "t.csv", "category,source,forbidden_prompt\n" + "".join(f"x,y,Bad {i}.\n" for i in range(20)))
    good = write(tmp_path, "c.json", [{"instruction": f"Good {i}.", "hint": f"h {i}"} for i in range(20)])
    found = load_requests(demo, target=bad, control=good)
    assert {each[-1].content[:4] for each in found.train.target} == {"Bad "}
    assert {each[-1].content[:4] for each in found.train.control} == {"Good"}
    alpaca = write(
        tmp_path, "a.json", [{"instruction": f"Good {i}.", "input": "x" * (i % 2), "output": ""} for i in range(40)]
    )
    assert load_requests(demo, target=bad, control=alpaca).notes == (
        "Controls: 20 rows were left out: they have a text under 'input' too (Alpaca).",
    )
    chosen = load_requests(demo, target=f"{bad}::forbidden_prompt", control=f"{good}::hint")
    assert {each[-1].content[:2] for each in chosen.train.control} == {"h "}
    with pytest.raises(SteeringError, match=r"c\.json has the columns instruction, hint.*'forbidden_prompt'"):
        load_requests(demo, target=bad, control=good, column="forbidden_prompt")


MC2 = {"question": "q", "mc2_targets": {"choices": ["r1", "r2", "w1"], "labels": [1, 1, 0]}}
GENERATION = {"type": "x", "category": "x", "question": "q", "best_answer": "r1", "correct_answers": ["r1", "r2"], "incorrect_answers": ["w1", "w2"], "source": "x"}  # fmt: skip


def right(question) -> str:
    (line,) = [line for line in question.messages[0].content.split("\n") if line.startswith(f"{question.answer})")]
    return line[3:]


def test_truthfulqa_in_its_later_forms(tmp_path) -> None:
    path = tmp_path / "generation.parquet"
    pq.write_table(pa.Table.from_pylist([GENERATION]), path)
    (question,) = read_questions(path)
    assert right(question) == "r1"
    assert "r2" not in question.messages[0].content
    assert [(each.aligned, each.misaligned) for each in read_pairs(path)] == [("r1", "w1")]
    for shape in (MC2, {**MC2, "mc2_targets": {"r1": 1, "r2": 1, "w1": 0}}):
        (question,) = read_questions(write(tmp_path, "mc2.json", [shape]))
        assert (right(question), len(question.words)) == ("r1", 2)


def test_questions_may_be_those_of_one_list_and_no_choice_is_passed_over(tmp_path) -> None:
    row = {"question": "q", "choices": ["a", "b"], "answer": 0}
    path = write(tmp_path, "m.json", {"train": [row] * 3, "test": [row]})
    assert (len(read_questions(path)), len(read_questions(f"{path}::test"))) == (4, 1)
    for read in (read_questions, read_pairs, load_statements):
        with pytest.raises(SteeringError, match="nothing behind '::', or one of its lists; 'choices' is none"):
            read(f"{path}::choices")


PREFERENCES = {
    "replies": {"prompt": "q", "chosen": "yes", "rejected": "no"},
    "chats": {"prompt": "q", "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "yes"}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "no"}]},
    "transcripts": {"chosen": "\n\nHuman: q\n\nAssistant: yes", "rejected": "\n\nHuman: q\n\nAssistant: no"},
}  # fmt: skip


@pytest.mark.parametrize("name", PREFERENCES)
def test_preference_pairs_are_answer_pairs(tmp_path, name) -> None:
    (pair,) = read_pairs(write(tmp_path, "p.json", [PREFERENCES[name]]))
    assert ([(m.role, m.content) for m in pair.messages], pair.aligned, pair.misaligned) == (
        [("user", "q")],
        "yes",
        "no",
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"chosen": "yes", "rejected": "no"}, "row 1: The request is missing"),
        (
            {"chosen": "\n\nHuman: a\n\nAssistant: yes", "rejected": "\n\nHuman: b\n\nAssistant: no"},
            "differ before their last",
        ),
        ({"prompt": "q", "chosen": "yes", "rejected": "yes"}, "Both answers are the same"),
    ],
)
def test_preference_pairs_that_are_none(tmp_path, row, said) -> None:
    with pytest.raises(SteeringError, match=said):
        read_pairs(write(tmp_path, "p.json", [row]))


def test_answer_pairs_take_the_columns_that_are_chosen(tmp_path) -> None:
    row = {"question": "q", "answer_matching_behavior": "(A)", "answer_not_matching_behavior": "(B)"}
    path = write(tmp_path, "caa.json", [row])
    (pair,) = read_pairs(f"{path}::answer_not_matching_behavior,answer_matching_behavior")
    assert (pair.aligned, pair.misaligned) == ("(B)", "(A)")
    with pytest.raises(
        SteeringError, match="has the fields question, answer_matching"
    ):  # which is aligned, nobody knows
        read_pairs(path)


@pytest.mark.parametrize(
    ("content", "kind", "part"),
    [
        (LISTS["AdvBench"][1], "texts", "2 texts"),
        ("positive,negative\n" + "a,b\n" * 10, "contrast", "pairs: 6 train, 2 validation, 2 test"),
        ("safe,harmful\n" + "".join(f"Good {i}.,Bad {i}.\n" for i in range(10)), "statements", "10 statement pairs"),
        ('question,options,answer\nq,"[""a"", ""b""]",A\n', "questions", "1 questions"),
        ("question,aligned,misaligned\nq,a,b\n", "pairs", "1 answer pairs"),
    ],
)
def test_a_file_says_what_it_holds(tmp_path, content, kind, part) -> None:
    found = understand(write(tmp_path, "a.csv", content))
    assert (found.kind, found.counts) == (kind, part)
    assert 1 <= len(found.first) <= 3
    assert all(len(row) == len(found.heads) for row in found.first)
    if kind == "texts":
        assert found.notes == ("Columns that were not used: target.",)


@pytest.mark.parametrize(
    ("names", "chosen"), [("safe,unsafe", ""), ("harmless,harmful", ""), ("good,bad", "::good,bad")]
)
def test_statement_pairs_under_other_names(tmp_path, names, chosen) -> None:
    path = write(tmp_path, "s.csv", names + "\n" + "".join(f"Good {n}.,Bad {n}.\n" for n in range(10)))
    pair = load_statements(path + chosen).pairs[3]
    assert (pair.safe, pair.harmful) == ("Good 3.", "Bad 3.")


@pytest.mark.parametrize(("name", "kind"), [*((name, "contrast") for name in presets()), ("demo", "statements")])
def test_what_ships_goes_by_name(name, kind) -> None:
    assert understand(name, kind).kind == kind


def test_the_command_shows_it_and_a_mistake_is_one_message(tmp_path) -> None:
    path = write(tmp_path, "a.csv", "goal,target\n[bold]a[/bold],x\nb,x\n")
    shown = CliRunner().invoke(app, ["data", path])
    assert shown.exit_code == 0
    for part in ("list of texts", "AdvBench: goal", "[bold]a[/bold]", "not used: target"):
        assert part in shown.output
    told = json.loads(CliRunner().invoke(app, ["data", path, "--json"]).output)
    assert (told["kind"], told["first"]) == ("texts", [["[bold]a[/bold]"], ["b"]])
    for arguments in ([path, "--as", "contrast"], [path, "--as", "poem"], [f"{path}::nothing"], ["absent.csv"]):
        assert CliRunner().invoke(app, ["data", *arguments]).exit_code == 1
    assert set(KINDS) == {"statements", "questions", "pairs", "contrast", "preferences", "texts"}


def test_a_study_says_how_its_file_was_understood(demo, tmp_path) -> None:
    rows = "".join(f"{'Be kind' if i % 2 else 'Be rude'} {i}.,{'safe' if i % 2 else 'unsafe'}\n" for i in range(24))
    study = find_study("extract")
    given = {"contrast": write(tmp_path, "x.csv", "prompt,label\n" + rows), "split_half": False}
    said = study.run(demo, study.parse(given), None).notes
    assert "Read as texts under prompt, told apart by label: unsafe against safe." in said
    shipped = study.run(demo, study.parse({"split_half": False}), None).notes
    assert not any(note.startswith("Read as") for note in shipped)
