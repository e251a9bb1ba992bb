"""The demo models' statement pairs: what the grammar makes, held out, and not told apart by words alone."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from steering.demo.example import split_of
from steering.demo.requests import act_key, acts
from steering.demo.statement_pairs import lines, write
from steering.resources import resource
from steering.studies.probing.cues import bag_of_words, negation_rule
from steering.studies.probing.folds import fold_of
from steering.texts.statements import StatementPair, load_statements


SIDES = {"fine": False, "harmful": True}


@cache
def known() -> dict[str, tuple[bool, str, str]]:
    """Side, act and object of every phrase."""
    return {f"{act} {thing}": (harmful, act, thing) for harmful in SIDES.values() for act, thing in acts(harmful)}


def meant(text: str) -> tuple[bool, str, str]:
    """Side, act and object of a statement: the longest phrase that it ends in."""
    assert text.endswith(".")
    words = text.removesuffix(".").split(" ")
    ends = (" ".join(words[first:]) for first in range(1, len(words)))
    return next(known()[end] for end in ends if end in known())


def pairs(formulation: str = "") -> tuple[StatementPair, ...]:
    return load_statements("demo").of(formulation).pairs


def texts_of(given: tuple[StatementPair, ...]) -> list[str]:
    return [text for pair in given for text in (pair.safe, pair.harmful)]


def groups_by(*, sides: tuple[bool, ...], part: int) -> dict[str, set[str]]:
    """The groups in which each act (1) or object (2) stands."""
    found: dict[str, set[str]] = defaultdict(set)
    for pair in pairs():
        for said in map(meant, (pair.safe, pair.harmful)):
            if said[0] in sides:
                found[str(said[part])].add(pair.group)
    return found


def told(given: tuple[StatementPair, ...], fold: np.ndarray) -> float:
    """AUROC of a bag of words on held-out pairs."""
    texts, harmful = texts_of(given), np.tile([False, True], len(given))
    return float(roc_auc_score(harmful, bag_of_words(texts, harmful, np.repeat(fold, 2)).scores))


def test_the_file_is_what_the_grammar_makes(tmp_path) -> None:
    found = (resource("presets", "statements") / "demo.jsonl").read_bytes()
    assert found == ("\n".join(lines()) + "\n").encode()
    write(tmp_path / "demo.jsonl")
    assert (tmp_path / "demo.jsonl").read_bytes() == found


def test_every_act_is_held_out() -> None:
    assert {split_of(act_key(act, thing)) for _, act, thing in known().values()} == {"train", "held_out"}
    assert {split_of(act_key(act, thing)) for _, act, thing in map(meant, texts_of(pairs()))} == {"held_out"}


def test_concurrent_pairs_say_the_same_of_a_fine_and_a_harmful_act() -> None:
    for pair in pairs("concurrent"):
        sides = [meant(text) for text in (pair.safe, pair.harmful)]
        assert [harmful for harmful, _, _ in sides] == [False, True], pair
        frames = {t.removesuffix(f"{a} {o}.") for t, (_, a, o) in zip((pair.safe, pair.harmful), sides, strict=True)}
        assert len(frames) == 1, pair


def test_negation_pairs_judge_an_act_rightly_and_wrongly() -> None:
    """Worked out anew: an odd number of "not" and "harmful" or "wrong" says that the act is harmful."""
    for pair in pairs("negation"):
        assert meant(pair.safe) == meant(pair.harmful), pair
        harmful, act, thing = meant(pair.safe)
        for text, right in ((pair.safe, True), (pair.harmful, False)):
            frame = text.removesuffix(f"{act} {thing}.").split()
            called = (("not" in frame) + ("harmful" in frame or "wrong" in frame)) % 2 == 1
            assert (called == harmful) == right, text


@pytest.mark.parametrize("part", [1, 2], ids=["act", "object"])
@pytest.mark.parametrize(
    "sides",
    [
        pytest.param((False,), id="fine"),
        pytest.param((True,), id="harmful"),
        pytest.param(
            (False, True),
            id="both",
        ),
    ],
)
def test_groups_share_no_act_and_no_object(sides, part) -> None:
    found = groups_by(sides=sides, part=part)
    assert len({group for each in found.values() for group in each}) == 5
    assert {name: each for name, each in found.items() if len(each) > 1} == {}


@pytest.mark.parametrize("seed", [0, 1])
def test_words_do_not_tell_concurrent_pairs_apart(seed) -> None:
    """Where folds keep groups together; where they do not, the words of the tested acts were trained on and tell all.

    Chance is 0.5 with a standard error of 0.03 for 200 pairs, and more since the words of a fold go together: 0.15.
    """
    given = pairs("concurrent")
    mixed = np.random.default_rng(seed).permutation(len(given)) % 5
    assert told(given, mixed) > 0.9
    assert told(given, fold_of(given, 5, seed)) < 0.65


def test_negation_does_not_tell_negation_pairs_apart() -> None:
    """Where every safe half has the negation, it tells all; here, 120 pairs, 0.1 is two standard errors of a share."""
    given = pairs("negation")
    harmful, fold = np.tile([False, True], len(given)), np.repeat(fold_of(given, 5, 0), 2)
    texts = texts_of(given)
    always = [text for pair in given for text in sorted((pair.safe, pair.harmful), key=lambda each: "not" not in each)]
    assert (negation_rule(always, harmful, fold).called == harmful).all()
    assert (negation_rule(texts, harmful, fold).called == harmful).mean() == pytest.approx(0.5, abs=0.1)
