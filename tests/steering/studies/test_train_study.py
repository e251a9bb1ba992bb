"""The study that trains a vector by several losses: its rows at equal cost, on prompts that nothing was fitted to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.job import Stopped
from steering.judges import judge_lexicon
from steering.judges.marks import load_marks
from steering.recipes import nats
from steering.recipes.nats import BeyondReachError, divergences, own_replies
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.studies import find_study
from steering.studies.drawn import drawn
from steering.studies.study import Result
from steering.studies.training import watching
from steering.studies.training.comparing import Compared
from steering.studies.training.following import Followed
from steering.studies.training.recipes import recipe_of
from steering.studies.training.rows import Row, Stepped
from steering.studies.training.sides import signs_of
from steering.studies.training.study import no_control, parts_of
from steering.studies.training.tables import unheard, where
from steering.texts.preferences import load_preferences
from steering.training import loop
from steering.training.training import train as trained
from steering.waiting import Progress
from tests.few_replies import few_replies


SMALL = {
    "losses": "sft, dpo",
    "n": 36,
    "steps": 12,
    "batch": 4,
    "budget": 0.5,
    "replies": 6,
    "reply_tokens": 20,
    "random": 1,
    "patience": 0,
}


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """What a budget costs is read on few replies: that all rows keep to it is shown on the same. Few requests are
    answered where the judge looks, and validation data are looked at after every third step.
    """
    with few_replies(3), pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "WATCHED", 2)
        patch.setattr(loop, "LOOKS", 4)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def events(demo, home):
    """The study once, with all that was said on the way."""
    study = find_study("train")
    job = study.start(demo, study.parse({**SMALL, "kept": str(home / "kept.sqlite")}))
    said = list(job.events())
    return job.result(), said


@pytest.fixture(scope="module")
def run(events):
    """The same with the steps that were told."""
    result, said = events
    return result, [event for event in said if isinstance(event, Stepped)]


def test_trained_vectors_gain_what_random_ones_and_shuffled_labels_do_not(run) -> None:
    result, _ = run
    rows = result.tables["methods"].set_index("method")
    assert list(rows.index) == ["none", "mean_difference", "random 1", "sft", "dpo", "dpo shuffled"]
    for loss in ("sft", "dpo"):
        assert rows.loc[loss, "mark"] > rows.loc["none", "mark"] + 0.5
        assert rows.loc[loss, "gain_low"] > 0
        assert rows.loc[loss, "margin_low"] > rows.loc["random 1", "margin_high"]
    assert rows.loc["dpo", "margin"] > rows.loc["mean_difference", "margin"]
    assert abs(rows.loc["random 1", "cosine"]) < 0.3
    assert abs(rows.loc["random 1", "cosine_planted"]) < 0.3, "chance is not the one that the model was planted with"
    assert rows.loc["dpo shuffled", "title"] == "DPO, shuffled labels", "likelihood would find half of the labels right"
    floor = rows.loc[["none", "random 1"], "mark_high"].max()
    assert rows.loc["dpo shuffled", "mark_low"] <= floor < rows.loc["dpo", "mark_low"]
    assert rows["mark_wanted"].isna().all(), "formality is wanted everywhere"
    assert rows["reward"].isna().all()


def test_all_cost_the_budget_by_the_measure_of_nats(run, demo) -> None:
    result, _ = run
    rows = result.tables["methods"].set_index("method")
    assert rows.loc["none", "nats"] == 0
    assert rows["nats"].iloc[1:].tolist() == pytest.approx([0.5] * 5, rel=0.05)
    vector = result.vectors["demo-formality dpo"]
    assert vector.mean_differences[3] == pytest.approx(rows.loc["dpo", "length"])
    plan = plan_of(Recipe(interventions=(Intervention(vector=vector.name),)), demo, result.vectors)
    apart = divergences(demo, [plan], own_replies(demo, nats.calibration_prompts()))
    assert np.percentile(apart.numpy(), 95) == pytest.approx(0.5, rel=0.05), "at strength 1 it costs what it may"


def test_marks_are_of_the_replies_that_are_shown(run) -> None:
    result, _ = run
    replies, rows = result.tables["replies"], result.tables["methods"].set_index("method")
    for method, own in replies.groupby("method"):
        assert len(own) == 6
        marks = [judge_lexicon(text, "formality").score("formal") for text in own["text"]]
        assert own["mark"].tolist() == pytest.approx(marks)
        assert rows.loc[method, "mark"] == pytest.approx(np.mean(marks))


def test_no_prompt_is_fitted_to_and_compared_on(run, demo) -> None:
    study = find_study("train")
    parts = parts_of(study.parse(SMALL), "demo-formality")
    sides = [{item.messages for item in part} for part in (parts.train, parts.validation, parts.held_out)]
    assert sum(map(len, (parts.train, parts.validation, parts.held_out))) == 36
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
    asked = set(run[0].tables["replies"]["prompt"])
    assert asked <= {messages[-1].content for messages in sides[2]}


def test_every_step_is_told_and_kept(run) -> None:
    result, told = run
    curve = result.tables["curve"]
    assert [(each.key, each.point["step"]) for each in told] == list(zip(curve["method"], curve["step"], strict=True))
    assert {each.steps for each in told} == {12}
    assert [title for title, *_ in drawn(result)] == [
        "What each gains",
        "Loss over the training",
        "Margin over the training",
        "KL over the training",
        "The judge over the training",
    ]
    marked = curve[curve["mark"].notna()]
    assert marked.groupby("title")["step"].apply(list).tolist() == [[2, 4, 6, 8, 10, 12]] * 3
    followed = Followed()
    assert followed.take(told)
    assert repr(followed.curve) == repr(curve)
    assert json.loads(result.to_json())["notes"][0].startswith("Best at 0.5 nats: ")


def test_progress_names_the_training_that_goes_on(events) -> None:
    _, said = events
    told = [f"{event.done} / {event.total} {event.message}" for event in said if isinstance(event, Progress)]
    for title in ("Likelihood (SFT)", "DPO", "DPO, shuffled labels"):
        own = [line for line in told if f" steps of {title}, loss " in line]
        assert [line.partition(" steps")[0] for line in own] == [f"{step} / 12" for step in range(1, 13)]


def test_people_read_the_pages_titles_and_the_budget_beside_what_it_costs(run) -> None:
    result, _ = run
    shown = find_study("train").shown(result)
    assert list(shown["method"]) == list(result.tables["methods"]["title"])
    assert not {"prefers", "nats", "where wanted", "reward, drawn"} & set(shown)
    assert {"mark", "ahead of mean difference", "ahead of mean difference_low", "chosen likelier", "KL, nats"} <= set(
        shown
    )
    figures = {title: (figure, caption) for title, figure, caption in drawn(result)}
    figure, caption = figures["KL over the training"]
    assert [(each.y0, each.y1) for each in figure.layout.shapes] == [(0.5, 0.5)]
    assert "the budget, 0.5" in caption
    assert not figures["Loss over the training"][0].layout.shapes


def test_a_run_that_is_stopped_goes_on_and_finds_the_same(run, demo, tmp_path) -> None:
    result, _ = run
    study, kept = find_study("train"), {**SMALL, "kept": str(tmp_path / "kept.sqlite"), "losses": "dpo", "random": 0}
    alone = {**kept, "shuffled": False}
    job, part = study.start(demo, study.parse(alone)), None
    for event in job.events():
        if isinstance(event, Stepped) and event.point["step"] == 5:
            job.stop()
        part = event if isinstance(event, Result) else part
    with pytest.raises(Stopped):
        job.result()
    assert part is not None, "what there is is given"
    assert len(part.tables["curve"]) >= 5
    vector, rows = part.vectors["demo-formality dpo"], part.tables["methods"].set_index("method")
    assert vector.mean_differences[3] > 0
    assert rows["margin"].isna().tolist() == [False, False, True]
    assert [each for each in part.notes if "was stopped after" in each or "was not compared" in each]
    assert recipe_of(part, "dpo").vectors == (vector.name,)
    again = study.start(demo, study.parse(alone))
    steps = [event.point["step"] for event in again.events() if isinstance(event, Stepped)]
    assert steps
    assert min(steps) > 5, "what was done is not done again"
    one, other = (each.vectors["demo-formality dpo"] for each in (again.result(), result))
    assert torch.equal(one.directions, other.directions)
    assert torch.equal(one.mean_differences, other.mean_differences)


def test_a_finished_run_is_found_finished(run, demo, home) -> None:
    study = find_study("train")
    job = study.start(demo, study.parse({**SMALL, "kept": str(home / "kept.sqlite")}))
    assert not [event for event in job.events() if isinstance(event, Stepped)]
    assert repr(job.result().tables) == repr(run[0].tables)


def test_what_no_strength_brings_to_the_budget_is_left_out_and_said(demo, home, monkeypatch) -> None:
    """Of the run above, whose trainings are kept; where no loss comes to the budget, the run ends with the mistake."""
    study = find_study("train")
    settings = study.parse({**SMALL, "shuffled": False, "kept": str(home / "kept.sqlite")})

    def fall_short(fails) -> None:
        def train(*given, **asked):
            if fails(asked):
                raise BeyondReachError(0.5, 0.031, "512 × mean difference")
            return trained(*given, **asked)

        monkeypatch.setattr("steering.studies.training.rows.train", train)

    fall_short(lambda asked: asked["start"] == "random" or asked["loss"] == "dpo")
    found = study.start(demo, settings).result()
    assert list(found.tables["methods"]["method"]) == ["none", "mean_difference", "sft"]
    for title in ("random direction 1", "DPO"):
        assert any(note.startswith(f"Left out: {title}, which costs at most 0.031 nats.") for note in found.notes)
    fall_short(lambda asked: asked["steps"])
    with pytest.raises(BeyondReachError):
        study.start(demo, settings).result()


def test_without_a_judge_margins_say_what_is_gained(run, demo) -> None:
    labelled = [
        {"prompt": p.messages[-1].content, "completion": reply, "label": wanted}
        for p in load_preferences("demo-formality")[:12]
        for reply, wanted in ((p.chosen, True), (p.rejected, False))
    ]
    study = find_study("train")
    source = Path(run[0].settings["kept"]).parent / "labelled.jsonl"
    source.write_text("\n".join(map(json.dumps, labelled)))
    given = {
        "data": str(source),
        "losses": "kto",
        "steps": 4,
        "random": 1,
        "budget": None,
        "held_out": 0.3,
        "shuffled": False,
        "reply_tokens": 8,
    }
    result = study.start(demo, study.parse(given)).result()
    rows = result.tables["methods"].set_index("method")
    assert rows["mark"].isna().all()
    assert rows.loc["kto", "margin"] > rows.loc["none", "margin"] == 0
    assert any("No budget was set" in note for note in result.notes)
    assert any("by held-out margins" in note for note in result.notes)
    assert any("Nobody judged" in note for note in result.notes)
    replies = result.tables["replies"]
    assert replies.groupby("method").size().to_dict() == dict.fromkeys(rows.index, replies["prompt"].nunique())
    assert replies["text"].str.len().min() > 0, "there is something to read"
    assert replies["mark"].isna().all()


def test_a_reward_is_measured_of_every_row_and_shuffled_as_its_control(demo) -> None:
    study = find_study("train")
    given = {"data": "demo-reworded", "losses": "sft, rlvr", "n": 16, "steps": 2, "batch": 2, "samples": 2, "random": 0}
    # A sum is told within eight tokens.
    asked = {**given, "blocks": "1", "budget": None, "validation": 0.2, "rate": 0.5, "reply_tokens": 8}
    result = study.start(demo, study.parse(asked)).result()
    rows = result.tables["methods"].set_index("method")
    assert list(rows.index) == ["none", "mean_difference", "sft", "rlvr", "rlvr shuffled"]
    assert rows["title"].iloc[-1] == "RLVR, shuffled reward"
    for name in ("reward", "reward_greedy"):
        assert ((rows[name] >= 0) & (rows[name] <= 1)).all()
    assert rows.loc["rlvr", "reward_gain"] == pytest.approx(rows.loc["rlvr", "reward"] - rows.loc["none", "reward"])
    one, other = (result.tables["curve"].set_index("method").loc[key, "margin"] for key in ("rlvr", "rlvr shuffled"))
    assert one.iloc[0] == other.iloc[0], "the same draws"
    said = [note for note in result.notes if note.startswith("Reward of ")]
    assert len(said) == 4
    assert "beyond the unsteered model's interval" in said[-1]
    assert next(title for title, *_ in drawn(result)) == "What each gains"


@pytest.mark.parametrize(
    ("losses", "control"),
    [
        ("sft, poft", ""),
        ("sft, kto", "kto"),
        ("poft, dpo, bco", "dpo"),
        ("reft", ""),
        ("sft, rlvr, dpo", "rlvr"),
    ],
)
def test_the_control_is_of_a_loss_that_is_told_what_is_not_wanted(losses: str, control: str) -> None:
    settings = find_study("train").parse({"losses": losses})
    assert settings.control == control
    assert find_study("train").parse({"losses": losses, "shuffled": False}).control == ""
    assert ["No control on shuffled labels" in each for each in no_control(settings)] == [True] * (not control)


def test_a_refusal_counts_against_a_row_where_the_set_answers() -> None:
    data = load_preferences("demo-refusal")[:6]
    asked = [item.messages for item in data]
    marks = load_marks(None, "refusal")  # a rule needs no model
    assert signs_of(marks, "refusal", data, asked).tolist() == [1, -1] * 3
    assert signs_of(marks, "formal", data, asked).tolist() == [1] * 6, "by degree there is always one that has less"
    row = Row("dpo", "DPO", "trained", None)
    nothing = np.array([])
    refuses = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    found = Compared(row, nothing, nothing, refuses, np.array([1.0, -1.0] * 3), nothing, nothing, (), 0.25)
    assert found.signed.tolist() == [1, 0, 1, -1, 1, 0]
    wanted, not_wanted = where(found, 1, 0), where(found, -1, 0)
    assert (wanted.value, not_wanted.value) == (1, pytest.approx(1 / 3))
    assert wanted.low < 0.5, "three of three are no certainty"


def test_a_margin_that_is_heard_in_no_reply_is_said_to_be_none() -> None:
    nothing = np.array([])

    def row(margins: list[float], prefers: list[float]) -> Compared:
        margin = np.array(margins)
        return Compared(Row("dpo", "DPO", "trained", None), margin, np.array(prefers), *[nothing] * 4, (), 0.25)

    base = row([0] * 4, [1, 1, 0, 0])
    (said,) = unheard(base, [row([9, 8, 1, 1], [1, 1, 0, 0])], 0)
    assert "0.50 of the pairs, 0.50 unsteered" in said
    for other in (row([9, 8, 1, 1], [1, 1, 1, 0]), row([9, 8, -9, -9], [1, 1, 0, 0])):
        assert not list(unheard(base, [other], 0))
    decided = row([0] * 4, [1] * 4)
    assert not list(unheard(decided, [row([9, 8, 1, 1], [1] * 4)], 0)), "there is nothing left to turn to"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"losses": "magic"}, "losses"),
        ({"reward": "praise"}, "reward"),
        ({"numbers": "dpo.beta=much"}, r"dpo\.beta=much"),
        ({"numbers": "dpo.tau=1"}, "'tau' was given to DPO"),
        ({"blocks": "99"}, "99"),
        ({"validation": 0.6, "held_out": 0.5}, "shares"),
        ({"losses": "bipo", "mode": "clamp"}, "BiPO"),
        ({"data": "nothing"}, "no preferences 'nothing'"),
        ({"judge": "nobody"}, "no judge 'nobody'"),
    ],
)
def test_settings_that_make_no_comparison_are_refused(demo, given, said) -> None:
    study = find_study("train")
    with pytest.raises(SteeringError, match=said):
        study.start(demo, study.parse({**SMALL, **given})).result()


def test_a_model_that_is_no_demo_must_be_told_what_to_learn(tiny_host) -> None:
    study = find_study("train")
    with pytest.raises(SteeringError, match="No preferences were named"):
        study.start(tiny_host("llama"), study.parse({})).result()
