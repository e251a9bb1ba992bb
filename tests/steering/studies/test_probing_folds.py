"""Folds keep together what gives an answer away, and cues are named for what verdicts follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

import numpy as np
import pytest

from steering.errors import SteeringError
from steering.studies.probing.cues import LENGTH, NEGATION, cues_of, negation_rule
from steering.studies.probing.folds import fold_of
from steering.texts.negation import negations
from steering.texts.statements import StatementPair, load_statements


WORDS = (
    "garden",
    "tea",
    "lighthouse",
    "bus",
    "violin",
    "soup",
    "neighbour",
    "hat",
    "mountain",
    "ink",
    "weather",
    "egg",
)
NEGATIONS = ("not", "never", "nobody", "cannot")


def pair(name: int, *, safe: str = "", harmful: str = "", group: str = "", fold: str = "") -> StatementPair:
    sides = (safe or f"Do {name}.", harmful or f"Undo {name}.")
    return StatementPair(str(name), *sides, "concurrent", group=group, fold=fold)


def linked() -> list[StatementPair]:
    """Groups of 7, 5 and 3 pairs, a chain of 4 by shared texts (in capitals, on either side) and a group, 21 alone."""
    sizes = [name for name, size in (("a", 7), ("b", 5), ("c", 3)) for _ in range(size)]
    grouped = [pair(number, group=name) for number, name in enumerate(sizes)]
    chain = [
        pair(100, safe="Sing loudly."),
        pair(101, safe="SING LOUDLY.", group="d"),
        pair(102, harmful="Shout at night.", group="d"),
        pair(103, safe="shout at night."),
    ]
    found = [*grouped, *chain, *(pair(number) for number in range(200, 221))]
    Random(0).shuffle(found)
    return found


def split(pairs: Sequence[StatementPair], fold: np.ndarray) -> set[str]:
    """Texts and groups that lie in more than one fold."""

    def marks() -> Iterator[tuple[str, int]]:
        for each, at in zip(pairs, fold, strict=True):
            yield from ((mark, int(at)) for mark in (each.safe.casefold(), each.harmful.casefold()))
            if each.group:
                yield f"group {each.group}", int(at)

    places = set(marks())
    seen = [mark for mark, _ in places]
    return {mark for mark in seen if seen.count(mark) > 1}


@pytest.mark.parametrize("seed", range(5))
def test_no_text_and_no_group_lies_on_two_sides(seed) -> None:
    pairs = linked()
    found = fold_of(pairs, 4, seed)
    assert split(pairs, np.arange(len(pairs)) % 4) == {
        *(f"group {name}" for name in "abcd"),
        *(text for text in ("sing loudly.", "shout at night.")),
    }
    assert split(pairs, found) == set()
    chain = {int(at) for each, at in zip(pairs, found, strict=True) if each.id in ("100", "101", "102", "103")}
    assert len(chain) == 1, "both ends of the chain share nothing but its middle"


def test_folds_are_even() -> None:
    """40 pairs in 4 folds: groups of 7, 5, 4, 3 leave room for 21 pairs alone; and 23 pairs alone differ by one."""
    for seed in range(5):
        assert np.bincount(fold_of(linked(), 4, seed)).tolist() == [10] * 4
        assert sorted(np.bincount(fold_of([pair(number) for number in range(23)], 5, seed))) == [4, 4, 5, 5, 5]


def test_folds_are_drawn_by_seed() -> None:
    pairs = linked()
    found = [fold_of(pairs, 4, seed).tolist() for seed in range(5)]
    assert found == [fold_of(pairs, 4, seed).tolist() for seed in range(5)]
    assert len({tuple(each) for each in found}) == 5


def test_a_files_folds_are_taken_as_given() -> None:
    """However many were asked for, and whatever the seed; numbered in the order in which they come."""
    names = ["west", "east", "west", "north"] * 3
    pairs = [pair(number, fold=name) for number, name in enumerate(names)]
    for seed in range(3):
        assert fold_of(pairs, 5, seed).tolist() == [0, 1, 0, 2] * 3


def test_fewer_groups_than_folds_are_refused() -> None:
    pairs = [pair(number, group=f"g{number % 4}") for number in range(20)]
    assert set(fold_of(pairs, 4, 0)) == {0, 1, 2, 3}
    with pytest.raises(SteeringError, match=r"4 groups .* for 5 folds"):
        fold_of(pairs, 5, 0)


@pytest.mark.parametrize("name", ["demo", "general"])
def test_the_presets_make_five_even_folds(name) -> None:
    pairs = load_statements(name).pairs
    found = fold_of(pairs, 5, 0)
    assert split(pairs, found) == set()
    assert np.ptp(np.bincount(found)) <= 1


@cache
def texts() -> tuple[str, ...]:
    """300 texts of random words of very different lengths, every other with a negation word of four kinds."""
    rng = Random(0)
    drawn = [[*rng.sample(WORDS, 4), *([rng.choice(NEGATIONS)] if number % 2 else [])] for number in range(300)]
    return tuple(" ".join(rng.sample(each, len(each))).capitalize() + "." for each in drawn)


@cache
def usual_length() -> float:
    return float(np.median([len(text) for text in texts()]))


VERDICTS = {
    "the word 'garden'": lambda text: "garden" in text.lower(),
    NEGATION: lambda text: negations(text) > 0,
    LENGTH: lambda text: len(text) > usual_length(),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", VERDICTS)
def test_what_verdicts_follow_is_named(name, turned) -> None:
    """Or what they are the opposite of; it would be 1, were not two statements with either verdict counted in."""
    given = texts()
    has = np.array([VERDICTS[name](text) for text in given])
    first, second, *_ = cues_of(given, has != turned)
    assert first.name == name
    shares = [(count + 2) / (count + 4) for count in (has.sum(), (~has).sum())]
    assert first.agreement == pytest.approx(np.mean(shares), rel=1e-9)
    assert second.agreement < 0.9


def test_random_verdicts_follow_nothing() -> None:
    """The standard error of a cue in a third of 300 texts is 0.03, so 0.7 is more than six of them.

    With one verdict for all, what is left of a word in 30 texts is the four counted in: 1 - (32/34 + 2/274) / 2 = 0.53.
    """
    given = texts()
    for seed in range(5):
        found = cues_of(given, np.random.default_rng(seed).random(len(given)) < 0.5)
        assert {NEGATION, LENGTH, "the word 'garden'"} < {cue.name for cue in found}
        assert found[0].agreement < 0.7
    assert cues_of(given, np.ones(len(given), dtype=bool))[0].agreement < 0.53


def test_a_rare_word_is_no_cue() -> None:
    given = list(texts())
    given[:20] = [f"{text} Zebra." for text in given[:20]]
    called = np.array(["Zebra" in text for text in given])
    assert "the word 'zebra'" not in {cue.name for cue in cues_of(given, called)}
    given[20:60] = [f"{text} Zebra." for text in given[20:60]]
    assert "the word 'zebra'" in {cue.name for cue in cues_of(given, called)}


@pytest.mark.parametrize("turned", [False, True])
def test_the_negation_rule_learns_which_way_it_points(turned) -> None:
    """From the other folds: where one of four goes the other way, all of it is called wrong, and nothing else."""
    given, fold = texts(), np.arange(300) // 75
    harmful = np.array([negations(text) > 0 for text in given]) != turned
    assert (negation_rule(given, harmful, fold).called == harmful).all()
    odd = harmful ^ (fold == 2)
    assert ((negation_rule(given, odd, fold).called == odd) == (fold != 2)).all()
