"""Contrast sets: every layout reads the same, splits never leak, and a mistake is named by file, row and field."""

from __future__ import annotations

import json

import pytest

from steering.errors import SteeringError
from steering.texts.contrast import SPLITS, ContrastSet
from steering.texts.contrast_files import presets


PAIRS = [(f"a good day {i}", f"a bad day {i}") for i in range(10)]


def write(folder, name: str, text: str):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_jsonl_and_csv_of_the_same_pairs_are_the_same_set(tmp_path) -> None:
    rows = [{"positive": p, "negative": n} for p, n in PAIRS]
    files = [
        write(tmp_path, "a.yaml", json.dumps({"pairs": rows})),  # YAML contains JSON
        write(tmp_path, "b.jsonl", "\n".join(json.dumps(row) for row in rows)),
        write(tmp_path, "c.csv", "positive,negative\n" + "\n".join(f"{p},{n}" for p, n in PAIRS)),
    ]
    sets = [ContrastSet.load(file) for file in files]
    assert len({s.digest for s in sets}) == 1
    assert sets[0].digest == ContrastSet.of(*zip(*PAIRS, strict=True)).digest
    assert sets[0].counts == {"train": (6, 6), "validation": (2, 2), "test": (2, 2)}
    assert [e.text for e in sets[0].positive] == [p for p, _ in PAIRS]


def test_two_lists_may_differ_in_length_and_labelled_rows_are_two_lists(tmp_path) -> None:
    labelled = [{"text": p, "label": "positive"} for p, _ in PAIRS] + [
        {"text": n, "label": "negative"} for _, n in PAIRS[:8]
    ]
    contrast = ContrastSet.load(write(tmp_path, "l.jsonl", "\n".join(map(json.dumps, labelled))))
    assert not contrast.paired
    assert (len(contrast.positive), len(contrast.negative)) == (10, 8)


def test_pairs_stay_in_one_split_and_stated_splits_are_kept(tmp_path) -> None:
    contrast = ContrastSet.of(*zip(*PAIRS, strict=True))
    for positive, negative in zip(contrast.positive, contrast.negative, strict=True):
        assert positive.split == negative.split
        assert positive.text[-1] == negative.text[-1]
    text = "pairs:\n" + "".join(f"- {{positive: {p}, negative: {n}, split: test}}\n" for p, n in PAIRS)
    assert ContrastSet.load(write(tmp_path, "t.yaml", text)).counts["test"] == (10, 10)


def test_a_system_prompt_can_stand_on_an_item(tmp_path) -> None:
    text = "positive: [{user: Hello., system: Be glad.}]\nnegative: [Hello.]\n"
    contrast = ContrastSet.load(write(tmp_path, "s.yaml", text))
    assert [(m.role, m.content) for m in contrast.positive[0].messages] == [("system", "Be glad."), ("user", "Hello.")]
    assert [m.role for m in contrast.negative[0].messages] == ["user"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "m.yaml",
            "pairs:\n- {positive: a, negative: b}\n- {positive: c}\n",
            r"m\.yaml, row 2, field negative is missing",
        ),
        (
            "m.jsonl",
            '{"positive": "a", "negative": "b"}\n{"positive": "a", "negative": " "}',
            r"m\.jsonl, row 2, field negative",
        ),
        ("m.csv", "positive,negative\na,b\nc,\n", r"m\.csv, row 3, field negative is missing or empty"),
        ("b.jsonl", '{"positive": "a", "negative": "b"}\n{oops', r"b\.jsonl, row 2 is not valid JSON"),
        ("b.yaml", "pairs:\n- {positive: a\n", r"b\.yaml, line \d+ is not valid YAML"),
        ("b.csv", "one,two\na,b\n", r"b\.csv has the columns one, two.*positive and negative"),
        ("l.csv", "text,label\na,positive\nb,maybe\n", r"l\.csv, row 3, field label: 'maybe'"),
        (
            "s.yaml",
            "pairs:\n- {positive: a, negative: b, split: exam}\n",
            r"s\.yaml, row 1, field split: 'exam'.*train",
        ),
        ("e.yaml", "pairs: []\n", r"e\.yaml is empty on at least one side"),
        ("e.jsonl", "", r"e\.jsonl is empty"),
        ("e.csv", "positive,negative\n", r"e\.csv is empty"),
        ("n.yaml", "positive: [a]\n", r"n\.yaml has the lists positive.*two lists"),
        ("n.yaml", "- a\n- b\n", r"n\.yaml holds one list of texts.*two lists"),
        ("n.yaml", "pairs: [a, b]\n", r"n\.yaml, row 1: 'a'"),
        ("n.txt", "a", r"n\.txt holds one list of texts.*two lists"),
        ("n.docx", "a", r"n\.docx has the ending '\.docx'.*\.csv"),
    ],
)
def test_a_mistake_is_named_by_file_row_and_field(tmp_path, name, text, message) -> None:
    with pytest.raises(SteeringError, match=message):
        ContrastSet.load(write(tmp_path, name, text))


def test_text_that_is_not_utf8_an_unknown_name_and_unequal_lists_are_refused(tmp_path) -> None:
    (tmp_path / "u.yaml").write_bytes(b"pairs: \xff\xfe")
    with pytest.raises(SteeringError, match="UTF-8"):
        ContrastSet.load(tmp_path / "u.yaml")
    with pytest.raises(SteeringError, match=r"no contrast set 'sentimant'.*sentiment"):
        ContrastSet.load("sentimant")
    with pytest.raises(SteeringError, match="2 positive and 1 negative"):
        ContrastSet.of(["a", "b"], ["c"])


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads_with_enough_prompts_and_no_text_on_both_sides_or_in_two_splits(name) -> None:
    contrast = ContrastSet.load(name)
    assert contrast.name == name
    assert contrast.description
    assert contrast.licence
    assert min(contrast.counts["train"]) >= 24
    assert min(contrast.counts["validation"]) >= 8
    texts = {side: [e.messages for e in getattr(contrast, side)] for side in ("positive", "negative")}
    for side in texts.values():
        assert len(set(side)) == len(side)
    assert not set(texts["positive"]) & set(texts["negative"])


def test_the_four_presets_of_the_first_release_are_there() -> None:
    assert {"sentiment", "harm", "truth", "demo-topics"} <= set(presets())
    assert set(SPLITS) == {"train", "validation", "test"}


def test_a_message_quotes_no_whole_book() -> None:
    error = SteeringError("Row 1 has '" + "x" * 100_000 + "' as its label.", "a label.", "Mend it.")
    assert str(error).startswith("Row 1 has 'xxx")
    assert "xxx' as its label. Expected: a label. Mend it." in str(error)
    assert len(str(error)) < 2000
