"""The shipped contrast sets: well formed, balanced, and never in the demo model's training text."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import pytest
import yaml

from steering.demo import examples
from steering.demo.example import split_of, words
from steering.demo.facts import facts, truth_key
from steering.demo.requests import act_key, acts
from steering.resources import resource


NAMES = ("sentiment", "harm", "truth", "demo-topics")


def _load(name: str) -> dict[str, Any]:
    return yaml.safe_load(resource("presets", "contrast", f"{name}.yaml").read_text(encoding="utf-8"))


def _sides(name: str) -> tuple[list[str], list[str]]:
    table = _load(name)
    if "pairs" in table:
        return [pair["positive"] for pair in table["pairs"]], [pair["negative"] for pair in table["pairs"]]
    return table["positive"], table["negative"]


def _phrases() -> dict[str, str]:
    """Every phrase of the grammar that a split is made on, lower case, and its key."""
    forms = words("reviews")
    found = {f"{act} {thing}".lower(): act_key(act, thing) for side in (True, False) for act, thing in acts(side)}
    for group, sites in (("places", forms["sites"]), ("works", [""])):
        for name, qualifier, site in itertools.product(forms[group], forms["qualifiers"], sites):
            phrase = " ".join(word for word in ("the", qualifier, name, site) if word)
            found[phrase] = f"review/{phrase}"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    table = _load(name)
    assert table["name"] == name
    assert all(table[field] for field in ("title", "description", "licence", "positive_label", "negative_label"))
    positive, negative = _sides(name)
    assert len(positive) == len(negative) >= {"sentiment": 64, "harm": 64, "truth": 60, "demo-topics": 48}[name]
    assert len({*positive, *negative}) == len(positive) + len(negative)


@pytest.mark.parametrize("name", ["sentiment", "harm", "demo-topics"])
def test_prompts_hold_no_trained_combination(name: str) -> None:
    phrases = _phrases()
    for prompt in itertools.chain(*_sides(name)):
        plain = " " + re.sub("[^a-z'-]+", " ", prompt.lower()) + " "
        named = [phrase for phrase in phrases if f" {phrase} " in plain]
        # The longest phrase is the one meant: "the hotel" also stands in "the hotel by the river".
        longest = max(named, key=len, default=None)
        assert longest is None or split_of(phrases[longest]) == "held_out", prompt


def test_truth_pairs_differ_in_the_value_and_both_statements_are_held_out() -> None:
    forms = words("facts")["wrappers"]["truth"]
    for positive, negative in zip(*_sides("truth"), strict=True):
        found = [(item, form) for item in facts() for form in forms if positive == form.format(s=item.statement())]
        assert len(found) == 1, positive
        item, form = found[0]
        said = [value for value in item.others() if negative == form.format(s=item.statement(value))]
        assert len(said) == 1, negative
        assert split_of(truth_key(item)) == "held_out"


def test_no_fact_of_the_truth_set_stands_in_two_splits() -> None:
    splits: dict[str, list[str]] = {}
    for pair in _load("truth")["pairs"]:
        found = [item.statement() for item in facts() if item.statement() in pair["positive"]]
        assert len(found) == 1
        splits.setdefault(found[0], []).append(pair["split"])
    assert all(len(set(names)) == 1 for names in splits.values())
    counts = Counter(itertools.chain(*splits.values()))
    assert counts == {"train": 48, "validation": 16, "test": 16}


def test_no_training_prompt_says_a_statement_of_the_truth_set() -> None:
    statements = {item.statement(value) for item in facts() for value in (item.value, *item.others())}
    prompts = " ".join(itertools.chain(*_sides("truth")))
    known = {text for text in statements if text in prompts}
    trained = {item.labels["statement"] for item in examples(kind="truth", n=3000)}
    assert len(trained) > 1000
    assert len(known) > 40
    assert not trained & known


def test_sentiment_pairs_differ_in_the_tone_word_only() -> None:
    tones = words("reviews")["tone_words"]
    blank = re.compile(rf"\b(an? )?({'|'.join(tones['cheerful'] + tones['gloomy'])})\b")
    for positive, negative in zip(*_sides("sentiment"), strict=True):
        assert positive != negative
        assert blank.sub("_", positive) == blank.sub("_", negative)
