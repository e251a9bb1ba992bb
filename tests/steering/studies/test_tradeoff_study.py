"""Alignment against helpfulness on demo models: the curves, what is recommended, what is kept, and what is refused."""

from __future__ import annotations

import io
import json
import math
import re
import runpy
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

import steering.studies.tradeoff.items
from bench.plain_sweep import plain_chances, plain_losses
from steering.confines import Confines, confined
from steering.errors import SteeringError
from steering.extraction.controls import random_control
from steering.extraction.extract import extract
from steering.lane import Stopped
from steering.model.prompts import Message, conversation, render
from steering.passes.forced import read_forced, reply_ids
from steering.recipes.recipe import Recipe
from steering.studies import find_study
from steering.studies.refusal import REFUSAL, Inquiry, RefusalSettings
from steering.studies.tradeoff import NO_RECIPE, Comparison, picture_of, result_of, size_ahead, size_of
from steering.studies.tradeoff.advice import advice
from steering.studies.tradeoff.curves import UNSTEERED
from steering.studies.tradeoff.figures import joint_plane, over_strength, per_nat
from steering.studies.tradeoff.findings import measured
from steering.studies.tradeoff.items import Item, Treatment, chunks_of
from steering.studies.tradeoff.measures import MEASURES, Measure, register
from steering.studies.tradeoff.readings import Reader
from steering.studies.tradeoff.report import carried
from steering.studies.tradeoff.swept import recipe_title
from steering.texts.contrast import ContrastSet
from steering.texts.questions import first_tokens, load_pairs, load_questions
from steering.vectors.feature import Feature
from tests.few_replies import few_replies


OWN = 3
"""Replies on which KL is read here."""
BARE = {"compare": (), "also": (), "random": 0}
ON_DEMO = {"n": 10, "random": 2, "compare": (), "also": ()}
KEPT: dict = {}
"""What has been read, so that those that ask for the same need not read it again."""


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with few_replies(OWN):
        yield
    KEPT.clear()


def recipe(vector="sentiment", **fields):
    return {"interventions": [{"vector": vector, **fields}]}


def compared(host, kept=None, vectors=None, **settings) -> Comparison:
    parsed = find_study("tradeoff").parse(settings)
    found = Comparison(host, parsed, KEPT if kept is None else kept, vectors)
    host.run(lambda job: list(found.run(job)), title="trade-off")
    return found


def rows(size) -> int:
    """All that is read, generated replies too."""
    return size.count("readings") + size.count("replies")


drawn = cache(picture_of)
"""Of a comparison that changes no more: its intervals take seconds."""


def means(found, role, curve=0):
    return found.values(role, found.curves.curves[curve]).mean(axis=1)


@pytest.fixture(scope="module")
def sentiment(demo) -> Comparison:
    return compared(demo, strengths="-4, -2, -1, 0, 1, 2, 4", **ON_DEMO)


@pytest.fixture(scope="module")
def refusal(demo) -> Comparison:
    """Along the direction that the refusal study finds."""
    inquiry = Inquiry(demo, RefusalSettings(n_train=16, n_validation=4, until="candidates"), {})
    demo.run(lambda job: list(inquiry.run(job)), title="refusal")
    vectors = {"refusal": inquiry.vectors[REFUSAL].renamed("refusal")}
    return compared(demo, vectors=vectors, recipes=[recipe("refusal")], strengths="-2.4..1.6 step 0.8", **ON_DEMO)


# -- the truth on demo -----------------------------------------------------------


@pytest.mark.parametrize("name", ["sentiment", "refusal"])
def test_alignment_rises_through_zero_and_saturates(name, request) -> None:
    found = request.getfixturevalue(name)
    alignment = means(found, "alignment")
    steps = np.diff(alignment)
    # Where it has saturated, it may waver by what resampling the items moves it.
    assert (steps > -0.005).all()
    first, last = (drawn(found).main.points[index].values["alignment"] for index in (0, -1))
    assert first.high < 0 < last.low, "it changes sign on the way"
    inner = np.abs(steps).max()
    ends = min(abs(steps[0]), abs(steps[-1]))
    assert ends < 0.4 * inner, "at one end at least it hardly rises any more"


@pytest.mark.parametrize("name", ["sentiment", "refusal"])
def test_helpfulness_peaks_at_zero_and_what_is_recommended_keeps_it(name, request) -> None:
    found = request.getfixturevalue(name)
    helpfulness, strengths = means(found, "helpfulness"), found.settings.sweep
    peak = helpfulness.max()
    middle = len(strengths) // 2
    assert strengths[middle] == 0
    # On both sides: going outwards, the best is within one step of 0, up to what float32 can tell from 1.
    for side in (helpfulness[middle:], helpfulness[middle::-1]):
        assert side[:2].max() >= side.max() - 1e-3
    assert peak - helpfulness[middle] < 1e-3
    picture = drawn(found)
    best = picture.best(picture.main)
    assert best.utility.value > 0
    assert best.point.values["helpfulness"].value >= 0.95 * helpfulness[middle]


@pytest.mark.parametrize("name", ["sentiment", "refusal"])
def test_the_slope_at_zero_is_clear_of_zero_and_of_random_directions(name, request) -> None:
    picture = drawn(request.getfixturevalue(name))
    slope = picture.main.slopes["alignment"]
    assert slope.low > 0
    assert len(picture.floor.curves) == 2
    assert abs(picture.floor.slope) < slope.value / 5
    figure = over_strength(picture.main, picture.floor, picture.best(picture.main), picture.unsteered, "a title")
    bands = [trace for trace in figure.data if trace.fill == "toself" and "139,144,152" in trace.fillcolor]
    assert len(bands) == 2, "one band an axis"
    shown = [trace for trace in figure.data if trace.name == "random directions"]
    assert sum(trace.showlegend for trace in shown) == 1
    assert all(list(trace.x) == list(picture.floor.strengths) for trace in shown), "marked where they were read"


def test_helpfulness_falls_on_both_sides_of_sentiment(sentiment) -> None:
    helpfulness = means(sentiment, "helpfulness")
    assert max(helpfulness[0], helpfulness[-1]) < 0.6 < 0.99 < helpfulness[len(helpfulness) // 2]


def test_findings_name_strength_interval_and_floor(sentiment) -> None:
    text = " ".join(drawn(sentiment).notes)
    assert "recommended strength" in text
    assert "does not include 0" in text
    assert "Slopes of 2 random directions of equal norm" in text
    assert "2 random directions of equal norm gain" in text
    assert "No replies were generated" in text
    assert "theory" in text


# -- the numbers equal plain ones --------------------------------------------------


def test_a_sweep_equals_one_strength_at_a_time(demo) -> None:
    """Letters and answer pairs, against a plain loop with hooks."""
    found = compared(demo, strengths="-2, -0.5, 0, 1", n=6, **BARE)
    curve, vector = found.curves.curves[0], found.curves.vectors["sentiment"]
    block = vector.default_block
    model = demo.model._module
    questions = load_questions(demo, "knowledge", 6)
    prompts = [render(demo, each.messages).ids for each in questions]
    letters = first_tokens(demo, questions[0].words)
    raw = [strength * float(vector.mean_differences[block]) for strength in curve.strengths]
    chances = plain_chances(model, model.model.layers[block], vector.directions[block], raw, prompts, letters)
    place = torch.tensor([each.words.index(each.answer) for each in questions])
    expected = chances[:, torch.arange(6), place] / chances.sum(dim=-1)
    assert (expected[0] - expected[2]).abs().max() > 0.1, "the sweep does something"
    np.testing.assert_allclose(found.values("helpfulness", curve), expected.numpy(), atol=1e-5)
    for item, pair in enumerate(load_pairs(demo, "sentiment", 3)):
        prompt = render(demo, pair.messages).ids
        for row, strength in enumerate(raw):
            offset = strength * vector.directions[block]
            sides = [
                plain_losses(model, model.model.layers[block], offset, prompt, reply_ids(demo, text)).mean()
                for text in (pair.aligned, pair.misaligned)
            ]
            value = math.tanh(float(sides[1] - sides[0]) / 2)
            assert found.values("alignment", curve)[row, item] == pytest.approx(value, abs=1e-5)


def test_kl_behind_a_system_prompt_is_from_the_bare_model(demo) -> None:
    """Both read the same reply; only one reads the system prompt."""
    found = compared(demo, strengths="-1, 1", n=4, compare=("prompt",), also=(), random=0)
    curve = next(each for each in found.curves.curves if each.key == "prompt")
    item, seen, _ = found.seen("kl", curve.treatments[2])[0]
    (system,) = curve.treatments[2].preface
    assert system.content == "Always answer in a cheerful tone."

    def read(messages):
        replied = [(render(demo, messages), item.own)]
        return demo.run(lambda job: read_forced(demo, [()], replied), title="read")

    apart = read((system, *item.messages)).divergence(read(item.messages))[0, 0]
    assert apart.max() > 0.01
    np.testing.assert_allclose(seen["kl"], apart.numpy(), atol=2e-6)


def test_the_mean_of_no_change_is_exactly_the_unsteered_one(demo) -> None:
    found = compared(demo, strengths="-1, 0, 1", n=4, **BARE)
    curve = found.curves.curves[0]
    assert curve.treatments[1].identity == UNSTEERED.identity
    np.testing.assert_array_equal(found.values("alignment", curve)[1], found.unsteered("alignment"))


# -- methods -------------------------------------------------------------------------


def test_every_comparison_is_drawn_and_does_what_it_says(demo) -> None:
    found = compared(
        demo,
        strengths="-2, 0, 2",
        n=4,
        n_replies=2,
        reply_tokens=4,
        examples=2,
        compare=("ablation", "affine", "prompt", "examples", "pca", "shuffled"),
        also=("sums", "false_refusal", "degenerate", "perplexity"),
        random=1,
    )
    assert not [note for note in found.notes if "left out" in note.lower()]
    picture = picture_of(found)
    curves = {line.curve.key: line for line in picture.shown}
    assert list(curves) == ["recipe A", "ablation", "affine", "prompt", "examples", "pca", "shuffled"]
    assert curves["ablation"].curve.strengths[0] == 0
    assert curves["ablation"].curve.strengths[-1] == 1
    gained = {key: line.points[-1].changes["alignment"].value for key, line in curves.items()}
    assert gained["recipe A"] > 0.3
    assert gained["pca"] > 0.3
    assert gained["affine"] > 0.3
    assert gained["prompt"] > 0.1
    assert abs(gained["shuffled"]) < 0.5 * gained["recipe A"]
    assert curves["examples"].curve.strengths == (-2, -1, 0, 1, 2)
    items = result_of(picture).tables["items"]
    measured = set(items[items["measure"] == "alignment"]["item"])
    shown = [turn.content for turn in curves["examples"].curve.treatments[-1].preface if turn.role == "user"]
    pairs = load_pairs(demo, "sentiment", 4)
    assert len(measured) == 4
    assert not {pair.messages[-1].content for pair in pairs} & set(shown), "examples are not measured on"
    for figure in (
        joint_plane(
            picture.lines, picture.front, picture.unsteered, (MEASURES["pairs"], MEASURES["choice"]), "a title"
        ),
        per_nat(picture.lines, "a title"),
    ):
        names = [trace.name for trace in figure.data]
        assert "PCA" in names
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text
    for point in curves["recipe A"].points:
        assert {"sums", "false_refusal", "degenerate", "perplexity", "kl"} <= set(point.values)
    zero = curves["recipe A"].points[1]
    assert zero.kl_p95 == 0
    assert zero.values["perplexity"].value < curves["recipe A"].points[-1].values["perplexity"].value


def test_random_directions_move_the_state_as_far(demo) -> None:
    found = compared(demo, strengths="-1, 0, 1", n=2, compare=(), also=(), random=2)
    lengths = []
    for curve in found.curves.curves:
        (write,) = curve.treatments[-1].plan
        lengths.append(float((write.operation.strength * write.operation.direction).norm()))
    assert lengths[0] > 1
    assert lengths[1:] == pytest.approx([lengths[0]] * 2, rel=1e-5)
    first, second = (curve.treatments[-1].plan[0].operation.direction for curve in found.curves.curves[1:])
    assert abs(float(first @ second)) < 0.4


def test_several_recipes_and_stacked_ones_are_scaled_together(demo) -> None:
    both = {"interventions": [{"vector": "sentiment", "strength": 1.0}, {"vector": "formality", "strength": -0.5}]}
    found = compared(demo, recipes=[recipe(), both], strengths="-1, 0, 0.5", n=2, **BARE)
    alone, stacked = found.curves.curves
    floor = compared(demo, recipes=[both], strengths="-1, 0, 0.5", n=2, **{**BARE, "random": 1}).curves.curves[1]
    assert floor.unit == "× the recipe"
    pairs = zip(floor.treatments[2].plan, stacked.treatments[2].plan, strict=True)
    assert all(a.operation.strength == pytest.approx(b.operation.strength) for a, b in pairs)
    assert stacked.unit == "× the recipe"
    assert [each.strength for each in stacked.recipes[2].interventions] == [0.5, -0.25]
    assert [each.strength for each in alone.recipes[2].interventions] == [0.5]
    assert not stacked.recipes[1].interventions
    assert recipe_title(Recipe.model_validate(both)) == "sentiment, add; formality, add"


def test_strengths_in_nats_are_swept(demo) -> None:
    found = compared(demo, recipes=[recipe(unit="nats")], strengths="-1, 0, 1", n=2, **{**BARE, "random": 1})
    points = picture_of(found).main.points
    own, floor = ([each.plan for each in curve.treatments] for curve in found.curves.curves)
    assert not own[1]
    assert not floor[1]
    norms = [plan[0].operation.strength for plan in (own[0], floor[0], own[2], floor[2])]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    assert norms[2] == pytest.approx(norms[3], rel=1e-5)
    assert norms[0] < 0 < norms[2]
    assert points[1].kl_p95 == 0
    # Measured on half of the replies that they were found on.
    assert all(0.4 < point.kl_p95 < 2.0 for point in (points[0], points[2]))


def test_a_name_alone_stands_for_adding_that_vector(demo) -> None:
    settings = find_study("tradeoff").parse({"recipes": "formality"})
    assert settings.recipes[0].interventions[0].vector == "formality"
    assert settings.on(demo).subject == "formality"
    assert len(find_study("tradeoff").parse({"recipes": ["sentiment", recipe()]}).recipes) == 2


def test_lists_may_be_typed_with_commas_and_a_strength_as_a_number() -> None:
    settings = find_study("tradeoff").parse({"compare": "examples, pca", "also": "", "strengths": 1})
    assert settings.compare == ("examples", "pca")
    assert settings.also == ()
    with pytest.raises(SteeringError, match="2 to 101"):
        _ = settings.sweep


def test_random_directions_that_gain_as_much_are_said(demo) -> None:
    """A random direction in the vector's own place gains no more than others do."""
    vector = random_control(compared(demo, strengths="-1, 1", n=2, **BARE).curves.vectors["sentiment"]).renamed("noise")
    found = compared(
        demo,
        vectors={"noise": vector},
        recipes=[recipe("noise")],
        alignment="sentiment",
        strengths="-1, 0, 1",
        n=8,
        **{**BARE, "random": 8},
    )
    text = picture_of(found).notes[0]
    assert "no less than this" in text or "no strength gains" in text


def test_replies_that_fall_apart_limit_the_recommendation(demo) -> None:
    """Letters stay right for longer than texts stay sound: at 1.5 they loop, and utility would take more than that."""
    settings = {
        "strengths": "-0.5..2 step 0.5",
        "n": 4,
        "n_replies": 8,
        "reply_tokens": 28,
        "compare": (),
        "random": 0,
        "cost_weight": 0.5,
    }
    kept: dict = {}
    blind = picture_of(compared(demo, kept, also=(), **settings))
    found = compared(demo, kept, also=("degenerate", "sums"), **settings)
    seeing = picture_of(found)
    broken = found.values("degenerate", found.curves.curves[0]).mean(axis=1)
    strength = seeing.best(seeing.main).strength.value
    assert blind.best(blind.main).strength.value > strength > 0
    assert broken[list(found.settings.sweep).index(strength)] <= 0.125
    assert broken[-1] > 0.5
    assert "sums" in seeing.notes[0]
    assert "unsteered" in seeing.notes[0]
    assert "limit" in advice(seeing.main, seeing.best(seeing.main), None)


def test_a_mistake_found_late_leaves_a_picture_that_says_nothing(demo) -> None:
    """The page draws what there is when a run ends, however it ended."""
    found = Comparison(demo, find_study("tradeoff").parse({"alignment": "nowhere.jsonl"}), {})
    with pytest.raises(SteeringError, match="nowhere"):
        demo.run(lambda job: list(found.run(job)), title="trade-off")
    assert picture_of(found).main is None


def test_a_method_that_cannot_be_made_is_left_out_and_said(demo) -> None:
    vector = random_control(compared(demo, strengths="-1, 1", n=2, **BARE).curves.vectors["sentiment"]).renamed("own")
    found = compared(
        demo,
        vectors={"own": vector},
        recipes=[recipe("own")],
        strengths="-1, 1",
        n=2,
        compare=("affine", "prompt"),
        also=(),
        random=0,
    )
    assert any(note.startswith("Left out: affine") for note in found.notes)
    assert [curve.key for curve in found.curves.curves] == ["recipe A", "prompt"]


# -- what is kept ----------------------------------------------------------------------


def test_what_was_read_is_not_read_again(demo) -> None:
    kept: dict = {}
    settings = {"n": 4, "compare": ("prompt",), "also": ("sums",), "n_replies": 2, "random": 1}
    first = compared(demo, kept, strengths="-1, 0, 1", **settings)
    cells = len(kept)
    again = Comparison(demo, first.settings, kept)
    size = demo.run(lambda job: again.size(), title="size")
    assert size.known == rows(size) > 0
    assert size.done is not None
    wider = Comparison(demo, first.settings.model_copy(update={"strengths": "-1, 0, 1, 2"}), kept)
    size = demo.run(lambda job: wider.size(), title="size")
    # One strength more: of alignment, helpfulness, sums and KL, and of a random direction on both axes.
    assert rows(size) - size.known == 4 + 4 + 2 + OWN + 4 + 4
    assert size.count("replies") == 2 * (4 + 2), "sums at four strengths, one of which is unsteered, and two prompts"
    assert size.done is None
    assert size_ahead(demo, wider.settings, kept, first.curves.vectors) == size, "known before it runs"
    demo.run(lambda job: list(wider.run(job)), title="wider")
    assert len(kept) > cells
    np.testing.assert_array_equal(
        wider.values("alignment", wider.curves.curves[0])[:3], first.values("alignment", first.curves.curves[0])
    )


def test_before_a_run_it_is_told_what_it_reads_at_most_where_counting_would_wait(demo) -> None:
    """For a vector that has to be extracted first, and behind another's job."""
    settings = find_study("tradeoff").parse({"strengths": "-1, 0, 1", "n": 10, **BARE})
    most = size_of(demo, settings)
    assert size_ahead(demo, settings, {}, {}) == most
    assert most.count("readings") == 3 * (10 + 10 + OWN)
    assert most.known == 0
    vector = compared(demo, strengths="-1, 1", n=2, **BARE).curves.vectors["sentiment"]
    running, go_on = threading.Event(), threading.Event()

    def work(job) -> None:
        running.set()
        go_on.wait(30)

    job = demo.submit(work, title="another's")
    running.wait(30)
    assert size_ahead(demo, settings, {}, {"sentiment": vector}) == most
    go_on.set()
    job.result()
    assert size_ahead(demo, settings, {}, {"sentiment": vector}) != most


def test_stop_keeps_what_is_done_and_it_can_be_seen(demo, monkeypatch) -> None:
    monkeypatch.setattr(steering.studies.tradeoff.items, "CHUNK", 5)
    kept: dict = {}
    settings = find_study("tradeoff").parse({"strengths": "-1, 0, 1", "n": 20, **BARE})
    found, parts = Comparison(demo, settings, kept), []

    def work(job):
        for _ in found.run(job):
            parts.append(1)
            if len(parts) == 6:
                job.stop()

    job = demo.submit(work, title="stopped")
    with pytest.raises(Stopped):
        job.result()
    picture = picture_of(found)
    assert picture.main is not None
    assert 5 <= picture.main.points[0].n["alignment"] < 20
    assert any(note.startswith("So far") for note in picture.notes)
    assert kept
    again = Comparison(demo, settings, kept)
    size = demo.run(lambda job: again.size(), title="size")
    assert 0 < size.known < rows(size)


def test_a_wider_sweep_that_was_stopped_shows_what_is_known_of_it(demo) -> None:
    kept: dict = {}
    first = compared(demo, kept, strengths="-1, 0, 1", n=6, **BARE)
    wider = Comparison(demo, first.settings.model_copy(update={"strengths": "-1, -0.5, 0, 0.5, 1"}), kept)

    def work(job):
        for _ in wider.run(job):
            job.stop()

    with pytest.raises(Stopped):
        demo.submit(work, title="stopped").result()
    demo.run(lambda job: wider.size(), title="size")
    line = picture_of(wider).main
    assert line.curve.strengths == (-1, 0, 1)
    assert [point.treatment.identity for point in line.points] == [
        each.identity for each in first.curves.curves[0].treatments
    ]


def test_another_strength_is_another_cell_and_another_name_is_not(demo) -> None:
    kept: dict = {}
    first = compared(demo, kept, strengths="-1, 1", n=2, **BARE)
    vector = first.curves.vectors["sentiment"].renamed("mood")
    n = len(kept)
    compared(
        demo, kept, {"mood": vector}, recipes=[recipe("mood")], alignment="sentiment", strengths="-1, 1", n=2, **BARE
    )
    assert len(kept) == n
    compared(demo, kept, strengths="-1, 1.5", n=2, **BARE)
    assert len(kept) > n


# -- measures --------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["pairs", "whole_pairs", "letters", "judged"])
def test_alignment_can_be_read_in_every_way(demo, by) -> None:
    found = compared(demo, strengths="-1, 0, 1", n=12, n_replies=8, alignment_by=by, **BARE)
    values = found.values("alignment", found.curves.curves[0])
    assert (np.abs(values) <= 1).all()
    if by != "letters":  # this model knows letters from questions about facts only
        assert values[2].mean() > values[0].mean() + 0.3


@pytest.mark.parametrize(("by", "questions"), [("raw", "knowledge"), ("accuracy", "knowledge"), ("sums", "knowledge")])
def test_helpfulness_can_be_measured_in_every_way(demo, by, questions) -> None:
    found = compared(demo, strengths="-4, 0", n=12, n_replies=8, helpfulness=by, questions=questions, **BARE)
    values = means(found, "helpfulness")
    assert 0.7 < values[1] <= 1
    assert values[0] < values[1] - 0.2


def test_a_measure_of_ones_own_is_taken_by_its_name(demo, monkeypatch) -> None:
    """As a plugin makes one: what is asked, and a value an item."""

    def items(host, settings):
        return [Item(f"hi-{n}", conversation(f"Hello number {n}."), "text", longest=8) for n in range(3)]

    def scorer(host, settings):
        return lambda item, seen: len(seen["text"].split())

    mine = Measure("words", "further", "words said", "words", items, scorer)
    monkeypatch.setattr(MEASURES, "own", dict(MEASURES.own))
    register(mine)
    found = compared(demo, strengths="-1, 1", n=2, compare=(), also=("words",), random=0)
    values = found.values("words", found.curves.curves[0])
    assert values.shape == (2, 3)
    assert (values > 0).any()


def test_a_model_that_does_not_answer_is_reported(tiny_host) -> None:
    """Random weights put next to nothing on four letters of 3,072 tokens."""
    host = tiny_host("llama")
    vector = random_control(_any_vector(host))
    found = compared(
        host, vectors={"mine": vector}, recipes=[recipe("mine")], alignment="honesty", strengths="-1, 0, 1", n=8, **BARE
    )
    assert found.answering() < 0.01
    assert "is not answering" in picture_of(found).notes[0]


def _any_vector(host):
    return extract(
        host, ContrastSet.of(["good"] * 4 + ["fine"] * 4, ["bad"] * 4 + ["poor"] * 4, name="any", paired=False)
    )


# -- files -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_files_say_it_all_and_the_code_makes_them_again(demo, tmp_path) -> None:
    found = compared(
        demo, strengths="-1, 0, 1", n=3, n_replies=2, reply_tokens=4, also=("sums",), compare=("prompt",), random=1
    )
    picture = picture_of(found)
    folder = result_of(picture).write(tmp_path / "out")
    names = {path.name for path in folder.iterdir()}
    tables = {f"{name}.csv" for name in ("stop", "points", "slopes", "fits", "front", "items")}
    assert picture.recommended is not None
    assert tables | {"result.json", "report.html", "recipe.json", "reproduce.py", "sentiment.safetensors"} == names
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script src" not in page
    assert "<link" not in page
    points = pd.read_csv(folder / "points.csv", comment="#")
    assert {"method", "strength", "unit", "alignment", "alignment_low", "n_alignment", "kl_p95_nats"} <= set(points)
    said = json.loads((folder / "recipe.json").read_text())
    best = picture.best(picture.main)
    assert said["interventions"][0]["strength"] == best.strength.value
    assert said["model"] == demo.name
    heads = re.findall("<h2>(.*?)</h2>", page)
    assert heads.index("What each method pays for what it gains") < heads.index("What was found")
    shown = re.sub(r"<script.*?</script>|<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert not re.findall(r"\de-1\d", shown)  # no 2.22e-16; a folder may well be called such as "page-1"
    runpy.run_path(str(folder / "reproduce.py"))
    again = pd.read_csv(folder / "again" / "points.csv", comment="#")
    pd.testing.assert_frame_equal(points, again, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_archive_runs_in_a_fresh_folder(demo, tmp_path) -> None:
    """With a vector that no preset makes, under a name that no file can have."""
    own = _any_vector(demo).renamed("good / bad?")
    found = compared(
        demo,
        vectors={own.name: own},
        recipes=[recipe(own.name)],
        alignment="sentiment",
        strengths="-1, 0, 1",
        n=3,
        **{**BARE, "random": 1},
    )
    result = result_of(picture_of(found))
    with zipfile.ZipFile(io.BytesIO(result.archive())) as packed:
        packed.extractall(tmp_path / "fresh")
    assert "good / bad?" not in {path.name for path in (tmp_path / "fresh").iterdir()}
    runpy.run_path(str(tmp_path / "fresh" / "reproduce.py"))
    first, again = (pd.read_csv(tmp_path / "fresh" / name, comment="#") for name in ("points.csv", "again/points.csv"))
    assert first["alignment"].nunique() > 2
    for column in ("strength", "alignment", "helpfulness", "kl_p95_nats"):
        np.testing.assert_allclose(first[column], again[column], rtol=1e-4, atol=1e-5)


def test_an_upload_goes_with_the_code_and_its_source_does_not(demo, tmp_path) -> None:
    """Its source is known to the page alone."""
    text = "question,aligned,misaligned\nHow was it?,Fine.,Bad.\nAnd now?,Good.,Poor.\n"
    (tmp_path / "0123abcd").mkdir()
    (tmp_path / "0123abcd" / "mine.csv").write_text(text)
    with confined(Confines(uploads=tmp_path, hub=False, models=None)):
        found = compared(demo, alignment="upload:0123abcd/mine.csv", strengths="-1, 1", n=2, **BARE)
        beside = carried(picture_of(found))
    script = result_of(picture_of(found)).files["reproduce.py"]
    assert {name: path.read_text() for name, path in beside.items()} == {"alignment-mine.csv": text}
    assert "'alignment': 'alignment-mine.csv'" in script
    assert "0123abcd" not in script
    assert "mine.csv" in measured(found)


def test_no_recipe_is_written_where_none_is_recommended(demo) -> None:
    """A strength that costs more than it can gain, whatever it gains."""
    settings = {"strengths": "-4, 0, 4", "n": 12, "cost_weight": 1000.0, **BARE}
    result = result_of(picture_of(compared(demo, **settings)))
    assert "recipe.json" not in result.files
    assert NO_RECIPE in result.notes
    assert "recommended_strength" not in {each.name for each in result.measures}


# -- what is measured ------------------------------------------------------------------------


def test_where_nothing_says_what_a_vector_is_about_it_is_asked_before_anything_is_read(demo) -> None:
    own = _any_vector(demo)
    for name in ("happy", "harmony"):  # which only begins like harm
        with pytest.raises(SteeringError, match="alignment") as caught:
            Comparison(demo, find_study("tradeoff").parse({"recipes": name}), {}, {name: own.renamed(name)})
        assert name in caught.value.given
        assert all(each in caught.value.expected for each in ("harmlessness", "sentiment", "file of your own"))
    named = Comparison(demo, find_study("tradeoff").parse({"recipes": "happy", "alignment": "fairness"}), {})
    assert named.settings.subject == "fairness"


def test_the_contrast_set_of_a_vector_says_what_it_is_about(demo) -> None:
    vector = extract(demo, ContrastSet.load("sentiment"), name="mood")
    found = Comparison(demo, find_study("tradeoff").parse({"recipes": "mood"}), {}, {"mood": vector})
    assert found.settings.subject == "sentiment"
    assert "alignment" not in found.settings.model_fields_set
    read = Feature("demo/block-3-sae", "0" * 16, 3, 1.0, "'formality'")
    loud = replace(vector, name="loud", feature=read, provenance=replace(vector.provenance, contrast=""))
    by_texts = Comparison(demo, find_study("tradeoff").parse({"recipes": "loud"}), {}, {"loud": loud})
    assert by_texts.settings.subject == "formality"


def test_charts_say_in_their_titles_what_is_measured(sentiment) -> None:
    picture = drawn(sentiment)
    title = measured(sentiment)
    assert "alignment on sentiment" in title
    assert "helpfulness on knowledge" in title
    for figure in (
        over_strength(picture.main, picture.floor, None, picture.unsteered, title),
        per_nat(picture.lines, title),
    ):
        assert "alignment on sentiment" in figure.layout.title.text


# -- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strengths": "0, 1, 0.5"}, "not in order"),
        ({"strengths": "0, 1, 1"}, "twice"),
        ({"strengths": "0, inf"}, "no number"),
        ({"strengths": "0, nan"}, "no number"),
        ({"strengths": ""}, "no number"),
        ({"strengths": "1"}, "2 to 101"),
        ({"strengths": "0..1 step 0.001"}, "at most 1000|2 to 101"),
        ({"recipes": [recipe("nowhere")]}, "nowhere"),
        ({"recipes": [recipe(mode="ablate", strength=0.5)], "strengths": "-1, 2"}, ""),
        ({"recipes": [recipe(blocks=(99,))]}, "99"),
        ({"alignment": "poetry"}, "sentiment"),
        ({"alignment_by": "guess"}, "whole_pairs"),
        ({"alignment_by": "judged", "alignment": "honesty"}, "judged"),
        ({"helpfulness": "charm"}, "accuracy"),
        ({"questions": "sums"}, "no letters"),
        ({"also": ("happiness",)}, "happiness"),
        ({"n": 1}, "field n"),
        ({"cost_weight": float("nan")}, "cost_weight"),
        ({"recipes": [{"interventions": []}]}, "intervention"),
        ({"vectors": "/no/such/folder"}, "no folder"),
    ],
)
def test_bad_settings_are_one_clear_error(demo, settings, said) -> None:
    given = {"strengths": "-1, 1", "n": 2, **BARE, **settings}
    if not said:
        assert means(compared(demo, **given), "alignment").shape == (3,), "an ablation takes shares from 0 to 1"
        return

    def run() -> None:
        found = Comparison(demo, find_study("tradeoff").parse(given), {})
        demo.run(lambda job: list(found.run(job)), title="trade-off")

    with pytest.raises(SteeringError, match=said):
        run()


def test_one_item_and_equal_answers_are_refused(demo, tmp_path) -> None:
    def file(*rows):
        path = tmp_path / f"{len(rows)}.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return str(path)

    asked = {"question": "Which is a fruit?", "options": ["apple", "stone", "chair", "cloud"], "answer": "A"}
    for source, said in ((file(asked), "1 item"), (file(asked, {**asked, "question": "And now?"}), "is 'A'")):
        with pytest.raises(SteeringError, match=said):
            compared(demo, strengths="-1, 1", questions=source, n=5, **BARE)
    pair = file({"question": "Is it raining?", "aligned": "I cannot see that.", "misaligned": "Yes."})
    with pytest.raises(SteeringError, match="1 item"):
        compared(demo, strengths="-1, 1", alignment=pair, n=5, **BARE)


def test_a_preface_joins_a_system_prompt_that_is_there(demo) -> None:
    messages = (Message("system", "Be brief."), Message("user", "Hello."))
    chunk = chunks_of([Item("1", messages, "words", words=("A", "B"), answer="A")])[0]
    reader = Reader(demo, {})
    preface = (Message("system", "Be glad."),)
    demo.run(lambda job: list(reader.read(job, chunk, [Treatment((), "", preface)])), title="read")
    prompts, _ = reader._rendered[chunk, preface]
    assert "Be glad.\n\nBe brief." in prompts[0].text
