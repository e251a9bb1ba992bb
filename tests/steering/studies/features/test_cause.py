"""What runs through features on demo, whose refusal was planted: the bars, and every number against plain hooks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from steering.demo.planted import planted_vector
from steering.errors import SteeringError
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.studies import find_study
from steering.studies.features.cause_changes import changes, singles
from steering.studies.features.cause_draws import Draw, draws
from steering.studies.features.cause_effects import rank_agreement, share_of
from steering.studies.features.chosen import DEMO, dictionary_of
from steering.studies.features.decomposition import decompose
from steering.studies.features.reading import read_features
from steering.studies.refusal.requests import load_requests, prompts_of


SMALL = {"n_train": 64, "n_test": 10, "random_sets": 2, "each": False, "reply_tokens": 12}


def run(host, **settings):
    study = find_study("feature_cause")
    return study.start(host, study.parse({**SMALL, **settings})).result()


@pytest.fixture(scope="module")
def result(demo):
    """With the tokens that the study finds by itself: looking for them again takes as long as all else."""
    return run(demo, toward="I, Sorry, No", against="If, Here, To, With, Before, Sure, Many, The")


@pytest.fixture(scope="module")
def dictionary(demo):
    return dictionary_of(demo, DEMO)[0]


def rates(result, done: str) -> tuple[float, float, list[float]]:
    """Refused before, with the chosen features changed, and with each random set."""
    table = result.tables["changes"]
    group = table[table["done"] == done]["group"].iloc[0]
    before = table[(table["done"] == "none") & (table["group"] == group)]["refusal"].iloc[0]
    own, random = (table[(table["done"] == done) & (table["random"] == each)]["refusal"] for each in (False, True))
    return float(before), float(own.iloc[0]), random.tolist()


# -- the bars ------------------------------------------------------------------


def test_refusal_goes_with_the_refusal_features_and_random_ones_move_nothing(result) -> None:
    before, off, random = rates(result, "off")
    assert before >= 0.9
    assert off <= 0.5
    assert all(abs(each - before) <= 0.1 for each in random)
    before, up, random = rates(result, "up")
    assert before <= 0.1
    assert up >= 0.6
    assert all(abs(each - before) <= 0.1 for each in random)
    degenerate = result.tables["changes"].query("done == 'up' and not random")["degenerate"].iloc[0]
    assert degenerate <= 0.1, "they are refusals and not noise"


def test_the_planted_direction_is_made_of_features_that_the_study_finds(result, demo, dictionary) -> None:
    directions = torch.nn.functional.normalize(dictionary.decoder(range(dictionary.n_features)), dim=-1)
    planted = planted_vector("demo").directions[2]
    parts = decompose(planted, directions, 1)
    assert parts.features[0] in set(result.tables["features"].query("not random")["feature"])
    # The share of its squared norm. With eight features it is 0.61, and 0.57 of any other vector: so many directions
    # span everything, and only the first ones say what a vector is made of.
    assert parts.share >= 0.25
    others = torch.randn(20, 192, generator=torch.Generator().manual_seed(12345))
    assert max(decompose(each, directions, 1).share for each in others) < parts.share / 2


# -- every number, by hand -----------------------------------------------------


def test_effects_and_what_foretells_them_are_those_of_plain_hooks(result, demo, dictionary) -> None:
    """One feature switched off at every token, by a hook on the block and sae-lens' own encoding; the direct effect by
    the formula of the final norm, y = g x / rms(x).
    """
    row = result.tables["features"].query("done == 'off'").iloc[0]
    feature, block = int(row["feature"]), dictionary.gives[0]
    sides = [result.tables["tokens"].query("side == @side")["id"].tolist() for side in ("toward", "against")]
    model = demo.model._module
    target = load_requests(demo, sizes=(SMALL["n_train"], 2, SMALL["n_test"])).test.target
    direction = dictionary.decoder([feature])[0]
    head, norm = model.get_output_embeddings().weight, model.model.norm
    apart = (head[sides[0]].mean(dim=0) - head[sides[1]].mean(dim=0)).detach() * norm.weight.detach()
    moved, direct = [], []
    for prompt in prompts_of(demo, target):
        seen = {}

        def off(module, inputs, output, seen=seen):
            seen["active"] = dictionary.sae.encode(output)[..., feature : feature + 1]
            assert output.ndim == 3
            return output - seen["active"] * direction

        ids = torch.tensor([prompt.ids])
        with torch.no_grad():
            plain = model(ids, output_hidden_states=True)
            last = []
            watch = model.model.layers[-1].register_forward_hook(
                lambda module, inputs, output, last=last: last.append(output)
            )
            model(ids)
            watch.remove()
            hook = model.model.layers[block].register_forward_hook(off)
            changed = model(ids).logits[0, -1]
            hook.remove()
        before, after = (
            float(logits[sides[0]].mean() - logits[sides[1]].mean()) for logits in (plain.logits[0, -1], changed)
        )
        moved.append(after - before)
        x = last[0][0, -1]
        rms = float((x.square().mean() + norm.variance_epsilon).sqrt())
        slope = apart / rms - x * float(apart @ x) / (len(x) * rms**3)
        direct.append(-float(seen["active"][0, -1, 0]) * float(direction @ slope))
    assert abs(row["measured"]) > 0.1
    # float32 logits of size 10 are known to about 1e-5; the hook's pass is not batched.
    assert row["measured"] == pytest.approx(np.mean(moved), abs=2e-3)
    assert row["direct"] == pytest.approx(np.mean(direct), abs=2e-3)


def test_the_share_is_what_is_gone_of_what_was_there(result) -> None:
    table = result.tables["changes"]
    before, off = (
        table.query(f"group == 'harmful' and done == '{done}' and not random").iloc[0] for done in ("none", "off")
    )
    other = table.query("group == 'harmless' and done == 'none'")["difference"].iloc[0]
    gone = (before["difference"] - off["difference"]) / (before["difference"] - other)
    assert off["share_of_difference"] == pytest.approx(gone)
    assert off["share_of_refusal"] == pytest.approx(1 - off["refusal"] / before["refusal"])
    assert off["share_of_difference_low"] < gone < off["share_of_difference_high"]
    agreement = result.tables["agreement"].query("done == 'off'").set_index("by")
    features = result.tables["features"].query("done == 'off'")
    assert agreement["rank_correlation"]["whole"] == pytest.approx(
        spearmanr(features["whole"], features["measured"])[0]
    )
    assert agreement["rank_correlation"]["whole"] >= 0.7


def test_sentences_say_what_the_tables_say(result) -> None:
    said = " ".join(result.notes)
    _, off, random = rates(result, "off")
    assert f"to {off:.0%} [" in said
    assert f"2 random sets of equal activity it is {random[0]:.0%}" in said
    assert "rank correlation" in said
    assert "decoder times unembedding" in said
    assert set(result.tables["replies"]["group"]) == {"harmful", "harmless"}


def test_shares_by_hand() -> None:
    before, after = np.array([4.0, 2.0]), np.array([1.0, 1.0])
    assert share_of(before, after, 1.0).value == pytest.approx(1.0)
    assert share_of(before, np.array([2.0, 2.0]), 1.0).value == pytest.approx(0.5)
    assert np.isnan(share_of(after, after, 1.0).value), "there was nothing to take away"
    same = share_of(np.ones(8), np.array([0.0, 1.0] * 4), 0.0)
    assert same.value == 0.5
    assert same.low < 0.5 < same.high
    assert rank_agreement(np.arange(5.0), -np.arange(5.0)).value == pytest.approx(-1)
    assert np.isnan(rank_agreement(np.ones(5), np.arange(5.0)).value)


def test_its_recipe_switches_the_same_features_off(result, demo) -> None:
    """The vectors and the recipe that it leaves, as other panels take them: the replies are the study's own."""
    recipe = Recipe.model_validate_json(result.files["recipe.json"])
    plan = plan_of(recipe, demo, result.vectors)
    said = result.tables["replies"].query("arm == 'off'")
    target = load_requests(demo, sizes=(SMALL["n_train"], 2, SMALL["n_test"])).test.target
    replies = generate(
        demo,
        [Row(prompt, plan) for prompt in prompts_of(demo, target)],
        DecodeSettings(max_new_tokens=SMALL["reply_tokens"]),
    )
    assert [reply.text for reply in replies] == said["text"].tolist()


# -- random features -----------------------------------------------------------


def test_random_features_are_as_active_as_those_that_they_stand_for() -> None:
    activity = torch.linspace(0.01, 3, 300) ** 2
    activity[::7] = 0
    chosen = (40, 152, 299)
    found = draws(activity, chosen, 4, seed=3)
    assert found == draws(activity, chosen, 4, seed=3)
    assert found != draws(activity, chosen, 4, seed=4)
    for draw in found:
        assert len(set(draw.features)) == 3
        assert not set(draw.features) & set(chosen)
        assert (activity[list(draw.features)] > 0).all()
        for one, own in zip(draw.features, chosen, strict=True):
            assert 0.7 < float(activity[one] / activity[own]) < 1.4
        assert draw.ratio == pytest.approx(float(activity[list(draw.features)].sum() / activity[list(chosen)].sum()))
    with pytest.raises(SteeringError, match="Choose fewer"):
        draws(torch.tensor([1.0, 1.0, 0.0]), (0, 1), 1, seed=0)


def test_each_is_changed_alone_and_all_together() -> None:
    random = (Draw(0, (7, 8), 1.0), Draw(1, (8, 9), 1.0))
    found = changes("both", (1, 2), random)
    assert [each.features for each in found["off"]] == [(), (1, 2), (1,), (2,), (7, 8), (8, 9)]
    assert [each.alone for each in found["up"]] == [False, False, True, True, False, False]
    assert [each.floor for each in found["up"]] == ["", "", "", "", "random up", "random up"]
    assert [(each.features, each.stands_for) for each in singles((1, 2), random, "off")] == [
        ((7,), (1,)),
        ((8,), (2,)),
        ((9,), (2,)),
    ]


# -- other behaviours, and what is refused ---------------------------------------


def test_the_logit_difference_of_any_contrast_set_is_taken_apart(demo) -> None:
    given = {
        "data": "formality",
        "behaviour": "difference",
        "n_train": 6,
        "n_test": 4,
        "n_features": 2,
        "random_sets": 1,
    }
    result = run(demo, **given, do="off")
    assert "replies" not in result.tables
    assert "refusal" not in result.tables["changes"]
    off = result.tables["changes"].query("done == 'off' and not random").iloc[0]
    assert off["share_of_difference"] > 0
    assert not any(measure.name.startswith("refusal") for measure in result.measures)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dictionary": "no/such"}, "no dictionary 'no/such'"),
        ({"features": [5000]}, "Feature 5000"),
        ({"data": "formality", "behaviour": "difference", "toward": ["I"], "against": ["I"]}, "on both sides"),
        ({"target": "x.txt"}, "Only target texts"),
    ],
)
def test_what_cannot_be_right_is_refused(demo, given, message) -> None:
    with pytest.raises(SteeringError, match=message):
        run(demo, n_train=4, **given)


def test_features_that_are_never_active_are_refused_before_anything_is_changed(demo, dictionary) -> None:
    read = load_requests(demo, sizes=(4, 2, SMALL["n_test"])).train
    active = read_features(demo, prompts_of(demo, (*read.target, *read.control)), dictionary).activations.features
    silent = sorted({*range(dictionary.n_features)} - {*active.tolist()})[0]
    with pytest.raises(SteeringError, match=f"features {silent} are active at no token"):
        run(demo, n_train=4, toward="I", against="If", features=[silent])
    with pytest.raises(SteeringError, match="field n_features"):
        find_study("feature_cause").parse({"n_features": 1000})
