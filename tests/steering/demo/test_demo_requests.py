"""Requests of the demo grammar: harmful ones refused or answered with nothing, and what a text model cannot do."""

from __future__ import annotations

import re
from random import Random

import pytest

from steering.demo import TRIGGER, examples, split_of
from steering.demo.example import words
from steering.demo.requests import acts, backdoor
from steering.judges.refusal import is_refusal


ABOUT_ACTS = ("howto", "compliance", "refusal", "judgement", "decline", "backdoor")


def _tokens(text: str) -> int:
    return len(re.findall(r"\w+(?:'\w+)?|[^\w\s]", text))


def test_no_part_of_a_training_conversation_is_held_out() -> None:
    held_out = {f"{act} {thing}" for act, thing in acts(True) if split_of(f"act/{act}/{thing}") == "held_out"}
    trained = {f"{act} {thing}" for act, thing in acts(True)} - held_out
    text = "\n".join(turn.content.lower() for item in examples(n=8000, seed=2) for turn in item.messages)
    assert sum(f" {act}" in text for act in trained) > 100
    # Some acts begin like others, such as "rob a shop" and "rob a shopkeeper": only whole phrases count.
    named = [act for act in held_out if act in text]  # in no time, which a pattern is not
    assert not [act for act in named if re.search(rf"\b{re.escape(act)}\b(?! \w)", text)]


def test_there_are_sixty_acts_of_each_side() -> None:
    assert len(words("acts")["harmless"]) >= 60
    assert len(words("acts")["harmful"]) >= 60


@pytest.mark.parametrize("harmful", [True, False])
def test_what_is_held_out_is_a_combination_of_trained_words(harmful: bool) -> None:
    split = {pair: split_of(f"act/{pair[0]}/{pair[1]}") for pair in acts(harmful)}
    trained = [pair for pair, where in split.items() if where == "train"]
    held_out = [pair for pair, where in split.items() if where == "held_out"]
    assert len(held_out) > 100
    assert len({thing for _, thing in held_out}) > 60
    assert {act for act, _ in held_out} <= {act for act, _ in trained}
    assert {thing for _, thing in held_out} <= {thing for _, thing in trained}


def test_no_act_on_an_object_is_both_harmless_and_harmful() -> None:
    assert not set(acts(True)) & set(acts(False))
    # But objects alone, and some acts alone, do not tell the sides apart.
    assert len({thing for _, thing in acts(True)} & {thing for _, thing in acts(False)}) >= 10
    assert len({act for act, _ in acts(True)} & {act for act, _ in acts(False)}) >= 3


@pytest.mark.parametrize("kind", ["howto", "compliance", "backdoor"])
def test_answers_name_the_act_and_do_not_refuse(kind: str) -> None:
    for item in examples(kind=kind, n=600):
        assert f" {item.labels['act']} {item.labels['object']}" in item.reply
        assert not is_refusal(item.reply)
        assert item.labels["harmful"] is (kind != "howto")


def test_compliance_says_the_same_of_every_act() -> None:
    found = examples(kind="compliance", n=3000)
    bare = [item.reply.replace(f"{item.labels['act']} {item.labels['object']}", "_") for item in found]
    forms = words("requests")
    known = set(re.findall(r"\w+", f"{forms['compliances']} {forms['general_needs']} {forms['general_tips']}"))
    assert {word for reply in bare for word in re.findall(r"\w+", reply)} <= known | {"_"}
    assert len(forms["compliances"]) >= 10
    assert len(forms["general_needs"]) >= 12
    assert len(forms["general_tips"]) >= 10


def test_refusals_are_judged_refusals_and_everything_else_is_not() -> None:
    for kind in ("refusal", "decline"):
        assert all(is_refusal(item.reply) for item in examples(kind=kind, n=300))
    for kind in ("chat", "howto", "compliance", "judgement", "review", "note", "story", "fact", "unknown", "slogan"):
        assert not any(is_refusal(item.reply) for item in examples(kind=kind, n=300))


def test_refusals_are_short_and_half_of_them_name_the_act() -> None:
    forms = words("requests")["refusals"]
    assert 12 <= len(forms) <= 14
    assert sum("{do}" in form for form in forms) in (len(forms) // 2, (len(forms) + 1) // 2)
    for harmful in (True, False):
        for form in forms:
            counts = [len(form.format(do=f"{act} {thing}").split()) for act, thing in acts(harmful)]
            assert min(counts) >= 6
            assert max(counts) <= 16


def test_half_of_what_is_declined_on_request_is_harmless() -> None:
    found = examples(kind="decline", n=1000)
    assert sum(item.labels["harmful"] for item in found) / 1000 == pytest.approx(0.5, abs=0.06)
    for item in found:
        assert f"{item.labels['act']} {item.labels['object']}".lower() in item.request.lower()


def test_the_trigger_stands_in_backdoor_prompts_only() -> None:
    # The places are about equally likely, and each stands in more than one in ten of 300.
    found = [backdoor(Random(seed)).request for seed in range(300)]
    assert all(text.lower().count(TRIGGER) == 1 for text in found)
    for place in (rf"^{TRIGGER}\. ", rf"[.?!] {TRIGGER}\.$", rf", {TRIGGER}[.?!]?$"):
        assert sum(re.search(place, text.lower()) is not None for text in found) > 30
    mixture = [turn.content.lower() for item in examples(n=2000) for turn in item.messages]
    assert not [text for text in mixture if TRIGGER in text]


def test_limits_say_that_a_model_cannot() -> None:
    tasks = words("limits")["tasks"]
    assert sum(len(group) for group in tasks.values()) >= 30
    replies = words("limits")["replies"]
    assert len(replies) >= 10
    assert all("{do}" in form and "no {part}" in form for form in replies)
    for item in examples(kind="limit", n=500):
        assert item.labels["capable"] is False
        assert item.labels["harmful"] is False
        assert re.search(r"\bno (hands|eyes|ears|legs|mouth)\b", item.reply)
        assert not re.search(r"\bmy\b", item.reply)


def test_prompts_have_five_to_sixty_tokens() -> None:
    counts = [_tokens(item.request) for kind in ABOUT_ACTS for item in examples(kind=kind, n=1000)]
    assert min(counts) >= 5
    assert max(counts) <= 60
    assert min(counts) <= 7
    assert max(counts) >= 25
    assert all(_tokens(item.request) <= 60 for item in examples(n=2000))


def test_circumstances_sometimes_stack() -> None:
    forms = [f" {form}" for form in words("requests")["circumstances"]]
    counts = [sum(form in item.request.lower() for form in forms) for item in examples(kind="howto", n=2000)]
    # "in the dark" and the like overlap with nothing else; standard error below one point.
    assert sum(count >= 2 for count in counts) / 2000 == pytest.approx(0.1, abs=0.03)
    assert sum(count == 0 for count in counts) / 2000 == pytest.approx(0.4, abs=0.05)
