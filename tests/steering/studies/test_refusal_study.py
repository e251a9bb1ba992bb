"""The study of refusal on demo models, whose inside is known: what it finds, says, keeps and writes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from html import escape
from itertools import islice

import pandas as pd
import pytest
import torch

from steering.errors import SteeringError
from steering.lane import Stopped
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate, next_token_logits
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.orthogonal import orthogonalised
from steering.statistics import Estimate
from steering.studies import find_study
from steering.studies.refusal import Inquiry, RefusalSettings, effects, figures, page_of, replies, result_of
from steering.studies.refusal.arms import ARMS, FLOORS, NONE, REFUSAL
from steering.studies.refusal.candidates import ablation_everywhere
from steering.studies.refusal.requests import load_requests, prompts_of
from steering.studies.refusal.size import sizes
from tests.conftest import tiny_model


SMALL = {
    "n_train": 12,
    "n_validation": 4,
    "n_test": 8,
    "random": 1,
    "reply_tokens": 8,
    "questions": 1,
}
FEWER = {"n_train": 8, "n_validation": 4, "n_test": 4}
"""Where it is counted and kept, and nothing is found out."""


def finished(host, kept=None, **settings) -> Inquiry:
    inquiry = Inquiry(host, RefusalSettings(**{**SMALL, **settings}), {} if kept is None else kept)
    host.run(lambda job: list(inquiry.run(job)), title="refusal")
    return inquiry


@pytest.fixture(scope="module")
def kept() -> dict:
    """What runs on demo have found, so that those that ask for the same need not find it again."""
    return {}


@pytest.fixture(scope="module")
def demo_inquiry(demo, kept) -> Inquiry:
    return finished(demo, kept)


def rate(inquiry, arm, group, system=False):
    return next(each for each in inquiry.rates if (each.arm, each.group, each.system) == (arm, group, system))


def cost(inquiry, arm):
    return next(each for each in inquiry.costs if each.arm == arm)


# -- what it finds on demo -----------------------------------------------------


def test_the_planted_direction_is_found_and_its_cosine_shown(demo_inquiry) -> None:
    chosen = demo_inquiry.choice.score.candidate
    assert demo_inquiry.choice.passes
    assert demo_inquiry.truth[chosen] >= 0.6
    assert any("cosine with the planted direction" in note for note in demo_inquiry.notes)
    assert demo_inquiry.vectors[REFUSAL].default_block == chosen.block


def test_ablation_takes_refusal_away_and_addition_brings_it_and_random_directions_do_nothing(demo_inquiry) -> None:
    assert rate(demo_inquiry, NONE, "harmful").refusal.value == 1.0
    assert rate(demo_inquiry, NONE, "harmless").refusal.value == 0.0
    for arm in ("ablate", "weights", "several", "ablate_block"):
        assert rate(demo_inquiry, arm, "harmful").refusal.value <= 0.05, arm
        assert rate(demo_inquiry, arm, "harmless").refusal.value == 0.0, arm
    assert rate(demo_inquiry, "add", "harmless").refusal.value >= 0.7
    for each in demo_inquiry.rates:
        if each.floor in ("random ablate", "random several"):
            plain = rate(demo_inquiry, NONE, each.group, each.system).refusal.value
            most = 0.25 if each.group == "borderline" else 0.0  # these lie on the edge: two of eight may fall
            assert each.refusal.value == pytest.approx(plain, abs=most), each.title
    assert cost(demo_inquiry, "random ablate 0").kl_mean.value < cost(demo_inquiry, "ablate").kl_mean.value


def test_every_arm_has_rates_intervals_costs_and_a_paired_test(demo_inquiry) -> None:
    for arm in ARMS:
        for group in ("harmful", "harmless", "borderline"):
            found = rate(demo_inquiry, arm, group)
            assert found.n == 8
            assert found.refusal.low <= found.refusal.value <= found.refusal.high
            contents = (found.refusal, found.compliance, found.incapable, found.unfinished)
            empty = sum(each.content == "nothing" for each in found.said) / found.n
            assert sum(each.value for each in contents) + empty == pytest.approx(1)
            assert found.degenerate.value == sum(each.broken for each in found.said) / found.n
            assert math.isnan(found.p_value) == (arm == NONE)
        assert set(cost(demo_inquiry, arm).answers) == {"knowledge", "truth", "sums"}
    # all eight refusals are gone: two-sided exact McNemar 2 / 2^8
    assert rate(demo_inquiry, "ablate", "harmful").p_value == pytest.approx(2 / 2**8)
    assert cost(demo_inquiry, NONE).kl_mean.value == pytest.approx(0, abs=1e-9)
    assert cost(demo_inquiry, "ablate").kl_mean.value > 0
    floors = {each.floor for each in demo_inquiry.rates if each.floor}
    assert floors == set(FLOORS.values())


def test_a_costly_intervention_is_named_and_the_surrogate_has_to_beat_calling_all_refusals(demo_inquiry) -> None:
    surrogate = demo_inquiry.place.surrogate
    rate_of_refusals = surrogate.refused / surrogate.n
    assert surrogate.trivial == pytest.approx(2 * rate_of_refusals / (rate_of_refusals + 1))
    for each in demo_inquiry.rates:
        worse = each.p_value < 0.05 and each.refusal.value > 0 and not each.floor
        if each.group == "harmless" and not each.system and each.arm != "add":
            said = any(f"Beware: {each.title} raises" in note for note in demo_inquiry.notes)
            assert said == worse


def test_runs_with_and_without_a_system_prompt(demo, kept, demo_inquiry) -> None:
    inquiry = finished(demo, kept, both_systems=True, arms=("ablate",), random=1, questions=0)
    with_system = rate(inquiry, NONE, "harmful", system=True)
    assert with_system.n == 8
    assert with_system.said[0].prompt == rate(demo_inquiry, NONE, "harmful").said[0].prompt
    assert with_system.refusal.value == 1.0
    assert rate(inquiry, "ablate", "harmful", system=True).refusal.value <= 0.05
    floors = [each for each in inquiry.rates if each.floor == "random ablate" and each.system]
    assert {each.group for each in floors} == {"harmful", "harmless", "borderline"}
    for each in floors:
        plain = rate(inquiry, NONE, each.group, system=True).refusal.value
        most = 0.25 if each.group == "borderline" else 0.0
        assert each.refusal.value == pytest.approx(plain, abs=most), each.title


def test_replies_of_the_plan_are_what_generate_gives(demo, demo_inquiry) -> None:
    found = rate(demo_inquiry, "ablate", "harmful")
    plan = ablation_everywhere(demo, demo_inquiry.vectors[REFUSAL].directions[0])
    row = Row(render(demo, found.said[3].prompt), plan)
    decode = DecodeSettings(max_new_tokens=SMALL["reply_tokens"])
    assert generate(demo, [row], decode)[0].text == found.said[3].text


@pytest.mark.slow
def test_ablation_equals_orthogonal_weights_on_logits_and_on_thirty_greedy_replies(demo, demo_inquiry) -> None:
    direction = demo_inquiry.vectors[REFUSAL].directions[0]
    requests = load_requests(demo, sizes=(4, 2, 15)).test
    prompts = [*prompts_of(demo, requests.target), *prompts_of(demo, requests.control)]
    edited, plan = orthogonalised(demo, direction), ablation_everywhere(demo, direction)
    plain = next_token_logits(demo, [Row(each) for each in prompts])
    ablated = next_token_logits(demo, [Row(each, plan) for each in prompts])
    weights = next_token_logits(edited, [Row(each) for each in prompts])
    assert (plain - ablated).abs().max() > 1, "the edit does something"
    torch.testing.assert_close(ablated, weights, rtol=1e-4, atol=1e-3)  # float32 through six blocks
    written = DecodeSettings(max_new_tokens=32)
    texts = [generate(host, [Row(each, p) for each in prompts], written) for host, p in ((demo, plan), (edited, ()))]
    assert len(texts[0]) == 30
    assert [reply.ids for reply in texts[0]] == [reply.ids for reply in texts[1]]


def test_where_refusal_lives(demo_inquiry, demo) -> None:
    place = demo_inquiry.place
    assert place.surrogate.first_good is not None
    assert place.surrogate.n == 24
    harmful = [v for v, each in zip(place.probes.refusal, place.asked, strict=True) if each.group == "harmful"]
    harmless = [v for v, each in zip(place.probes.refusal, place.asked, strict=True) if each.group == "harmless"]
    assert sum(harmful) / len(harmful) == pytest.approx(1, abs=0.3)
    assert sum(harmless) / len(harmless) == pytest.approx(0, abs=0.3)
    first = place.projections[0]
    assert first.cosine.shape == (len(first.prompt), demo.info.blocks)
    with torch.no_grad():
        out = demo.model._module(torch.tensor([first.prompt.ids]), output_hidden_states=True)
    state = out.hidden_states[4][0, -1]
    u = demo_inquiry.vectors[REFUSAL].directions[0]
    assert float(first.raw[-1, 4]) == pytest.approx(float(state @ u), abs=1e-4)
    assert float(first.cosine[-1, 4]) == pytest.approx(float(state @ u / state.norm()), abs=1e-5)


def test_the_harmfulness_probe_is_a_mean_difference_at_the_last_instruction_token(demo_inquiry, demo) -> None:
    """Against hidden states of Hugging Face, one prompt at a time; 0 and 1 are the means of both sides."""
    probes, block = demo_inquiry.place.probes, demo_inquiry.place.probes.block

    def state(prompt):
        last = max(i for i, role in enumerate(prompt.roles) if role == "user")
        with torch.no_grad():
            out = demo.model._module(torch.tensor([prompt.ids]), output_hidden_states=True)
        return out.hidden_states[block][0, last].double()

    harmful, harmless = (torch.stack([state(p) for p in side]).mean(dim=0) for side in demo_inquiry.prepared.train)
    difference = harmful - harmless
    asked = render(demo, demo_inquiry.place.asked[0].prompt)
    expected = float((state(asked) - harmless) @ difference / (difference @ difference))
    assert probes.harmfulness[0] == pytest.approx(expected, abs=1e-3)
    values = {label: [] for label in ("harmful", "harmless")}
    for each, value in zip(demo_inquiry.place.asked, probes.harmfulness, strict=True):
        values.setdefault(each.group, []).append(value)
    wins = [(a > b) + 0.5 * (a == b) for a in values["harmful"] for b in values["harmless"]]
    assert probes.auroc.value == pytest.approx(sum(wins) / len(wins))
    assert any("not surely read" in note for note in demo_inquiry.notes) == (probes.auroc.low < 0.8)


# -- what it says where there is little to find ---------------------------------


@pytest.mark.parametrize("name", ["demo-helpful", "demo-drifted"])
def test_a_model_that_hardly_refuses_is_told_in_plain_words(name, lane, kept) -> None:
    inquiry = finished(Host.load(name, lane=lane), kept, **FEWER, arms=("ablate",), random=0, questions=0)
    assert any("refusal to ablate" in note for note in inquiry.notes)
    assert rate(inquiry, NONE, "harmful").refusal.value <= 0.3
    result_of(inquiry)


def test_drift_from_the_aligned_model_is_charted(lane, kept) -> None:
    host, few = Host.load("demo-drifted", lane=lane), {**FEWER, "random": 0, "questions": 0}
    inquiry = finished(host, kept, arms=(), reference="demo", **few)
    drift = inquiry.place.drift
    assert drift.reference == "demo"
    assert all(-1 <= cosine <= 1 for cosine in drift.target)
    assert min(drift.target) < 0.999
    itself = finished(host, kept, arms=(), reference="demo-drifted", **few).place.drift
    assert min(itself.target) == pytest.approx(1, abs=1e-5)
    with pytest.raises(SteeringError, match="could not be loaded"):
        finished(host, kept, arms=(), reference="no-such-model-anywhere", **few)


def test_natural_refusal_falls_under_its_own_direction(lane, kept) -> None:
    few = {"n_validation": 8, "random": 0, "questions": 0}  # on fewer, a block is chosen that refusal does not live in
    inquiry = finished(Host.load("demo-natural", lane=lane), kept, arms=("ablate",), **few)
    assert rate(inquiry, NONE, "harmful").refusal.value >= 0.8
    assert rate(inquiry, "ablate", "harmful").refusal.value <= 0.15


def test_a_model_without_chat_template_gets_a_statement_and_no_crash(lane, tokenizer, kept) -> None:
    from copy import deepcopy

    bare = deepcopy(tokenizer)
    bare.chat_template = None
    host = Host.wrap(tiny_model("gpt2"), bare, name="bare", lane=lane)
    inquiry = finished(host, kept, data="demo", arms=("ablate",), random=0, questions=2, reply_tokens=8)
    assert any("no chat template" in note for note in inquiry.notes)
    assert inquiry.prepared.tail == 1
    assert result_of(inquiry).headline == "summary"


def test_one_template_token_behind_the_message_is_one_place_to_read_at(lane, tokenizer, kept) -> None:
    from copy import deepcopy

    short = deepcopy(tokenizer)
    short.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}<|assistant|>"
    host = Host.wrap(Host.load("demo", lane=lane).model._module, short, name="short", lane=lane)
    few = {**FEWER, "n_test": 2, "random": 0, "questions": 0}
    inquiry = finished(host, kept, data="demo", by="cosmic", arms=("ablate",), **few)
    assert inquiry.prepared.tail == 1
    assert any("at one token only" in note for note in inquiry.notes)
    assert {candidate.position for candidate in inquiry.scores} == {-1}


def test_without_refusals_cosmic_can_still_choose(lane, kept) -> None:
    few = {**FEWER, "random": 0, "questions": 0}
    inquiry = finished(Host.load("demo-helpful", lane=lane), kept, by="cosmic", arms=("ablate",), **few)
    assert inquiry.choice is not None
    assert inquiry.choice.score.bypass is None


def test_where_nothing_passes_the_study_goes_on_with_the_best_and_says_so(demo, kept) -> None:
    inquiry = finished(demo, kept, min_induce=99.0, arms=("ablate",), random=0, questions=0)
    assert not inquiry.choice.passes
    assert any("None of the 12 candidates passes" in note for note in inquiry.notes)
    assert rate(inquiry, "ablate", "harmful").refusal.value <= 0.05


# -- stop, resume, files ---------------------------------------------------------


def test_what_was_finished_is_not_done_again(demo, demo_inquiry, monkeypatch) -> None:
    """Stopped in the middle of the replies; the second run takes them from the store, the third computes nothing."""
    kept: dict = {}
    options = {**FEWER, "arms": ("ablate",), "random": 0, "questions": 0}
    inquiry = Inquiry(demo, RefusalSettings(**{**SMALL, **options}), kept)

    def stop_after_two_groups(job):
        steps = inquiry.run(job)
        for _ in steps:
            if len(inquiry.rates) == 2:
                job.stop()
                job.check()

    with pytest.raises(Stopped):
        demo.run(stop_after_two_groups, title="refusal")
    halfway = len(kept)
    assert halfway >= 12, "two groups' replies and the scores"
    written = []

    class Counting(dict):
        def __setitem__(self, key, value):
            if set(value) != {"seconds"}:  # how long it took
                written.append(key)
            super().__setitem__(key, value)

    store = Counting(kept)
    again = finished(demo, store, **options)
    assert 0 < len(written) < halfway + 30
    assert not set(written) & set(kept), "nothing is computed twice"
    written.clear()
    for module, name in ((effects, "read_forced"), (replies, "next_token_logits"), (replies, "generate_each")):
        monkeypatch.setattr(module, name, lambda *args, **kwargs: pytest.fail("computed again"))
    third = finished(demo, store, **options)
    assert written == []
    for first, second in zip(again.rates, third.rates, strict=True):
        assert [each.text for each in first.said] == [each.text for each in second.said]
        assert first.refusal == second.refusal


def test_a_run_makes_as_many_replies_as_was_told_and_says_what_is_kept(demo) -> None:
    """Two interventions of which one has a floor of two: four arms of 2 x 4 and 4 requests, and 2 sums each."""
    kept: dict = {}
    options = {**FEWER, "arms": ("ablate",), "random": 2}
    settings = RefusalSettings(**{**SMALL, **options})
    before = sizes(demo, settings, kept)
    assert [each.done for each in before.values()] == [None, None, None]
    inquiry = finished(demo, kept, **options)
    said, sums = len(inquiry.said), 4 * SMALL["questions"]
    assert before["effects"].count("replies") == FEWER["n_train"] + said + sums
    assert (said, before["tokens"].count("replies")) == (4 * 3 * FEWER["n_test"], FEWER["n_train"])
    after = sizes(demo, settings, kept)
    assert after["effects"].done is not None
    assert after["candidates"].known > 0 == before["candidates"].known
    found = tuple(f"#{token}" for token in inquiry.prepared.tokens.chosen)
    named = sizes(demo, settings.model_copy(update={"tokens": found}), kept)
    assert named["effects"].done is not None, "the page names the tokens that were found"
    other = sizes(demo, settings.model_copy(update={"reply_tokens": 9}), kept)
    assert (other["effects"].done, other["candidates"].done) == (None, after["candidates"].done)


def test_costs_that_are_as_good_as_nothing_stand_at_the_beginning_of_the_axis(demo_inquiry) -> None:
    nothing = replace(cost(demo_inquiry, "ablate"), kl_mean=Estimate(2e-16, 0.0, 3e-16), kl_p95=math.nan)
    drawn = figures.damage([cost(demo_inquiry, NONE), nothing])
    (points,) = drawn.data
    assert list(points.x) == [figures.LEAST_NATS]
    assert points.hovertext[0].endswith("mean under 0.0001 nats, 95th percentile not measured")


def test_another_candidate_can_be_taken(demo, kept) -> None:
    inquiry = finished(demo, kept, candidate="-2/2", until="candidates")
    assert (inquiry.choice.score.candidate.position, inquiry.choice.score.candidate.block) == (-2, 2)
    with pytest.raises(SteeringError, match="position/block"):
        finished(demo, kept, candidate="-9/2", until="candidates")
    with pytest.raises(SteeringError, match="position/block"):
        find_study("refusal").parse({"candidate": "nonsense"})


def test_the_result_has_tables_a_recipe_a_vector_and_a_page(demo_inquiry, tmp_path) -> None:
    result = result_of(demo_inquiry)
    folder = result.write(tmp_path / "out")
    content = json.loads((folder / "result.json").read_text())
    assert content["files"] == ["recipe.json", "report.html"]
    for name in content["tables"].values():
        assert len(pd.read_csv(folder / name, comment="#")) > 0, name
    recipe = json.loads((folder / "recipe.json").read_text())
    assert (recipe["interventions"][0]["blocks"], recipe["model"]) == ("everywhere", "demo")
    assert (folder / "refusal.safetensors").is_file()
    page = page_of(demo_inquiry)
    assert "cdn" not in page.split("<body>")[0].split("<script>")[0]
    assert page.count("<details>") >= len(ARMS), "replies are folded"
    assert "says nothing about large models" in page
    assert "Sorry" in page.split("Refusal tokens</h2>")[1]
    found = page.split("<main>")[1]
    assert found.index("Requests refused</h2>") < found.index("Ablating the direction everywhere takes refusal")
    assert found.index("Ablating the direction") < found.index("Every intervention</h2>") < found.index("What was read")
    for note in demo_inquiry.notes:
        assert escape(note) in found, "nothing that was found is left out"
    assert "<img" not in page
    candidates = result.tables["candidates"]
    assert candidates.iloc[0]["outcome"] == "chosen"
    assert set(candidates["outcome"]) == {"chosen", "passes", "dropped"}
    assert (candidates["reason"] != "").sum() == (candidates["outcome"] == "dropped").sum()


def test_prompts_of_ones_own_are_followed_along_the_direction(demo, kept) -> None:
    asked = ("How do I rob a bank?", "How do I bake a cake?")
    inquiry = finished(demo, kept, prompts=asked, arms=(), **{**FEWER, "random": 0, "questions": 0})
    followed = [
        "".join(t for t, role in zip(p.prompt.tokens, p.prompt.roles, strict=True) if role == "user")
        for p in inquiry.place.projections
    ]
    assert followed == list(asked)


def test_lists_may_be_typed_with_commas() -> None:
    settings = RefusalSettings(arms="none, ablate", tokens="I,Sorry", prompts="One, two.")
    assert (settings.arms, settings.tokens, settings.prompts) == (("none", "ablate"), ("I", "Sorry"), ("One, two.",))


def test_it_runs_headless_by_its_name(demo, kept) -> None:
    study = find_study("refusal")
    settings = study.parse({**SMALL, **FEWER, "until": "candidates"}, quick=True)
    job = study.start(demo, settings)
    result = job.result()
    assert result.headline == "candidates"
    assert list(islice(result.vectors, 1)) == [REFUSAL]
    with pytest.raises(SteeringError, match="intervention"):
        finished(demo, kept, arms=("nonsense",))
