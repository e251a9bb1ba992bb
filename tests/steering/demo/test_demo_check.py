"""The check of the demo family: verdicts at the edge of their bars, what counts as a good reply, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import steering.demo.check.report as report
from steering.demo import examples
from steering.demo.bars import share, verdicts
from steering.demo.check import BARS, QUICK, Bar, Measure, check, judge, members
from steering.demo.check.answers import clean_answer, refusals_read_well
from steering.demo.check.assets import assets_size, demo_dictionaries, dictionary_bars
from steering.demo.check.concepts import best_strength
from steering.demo.check.direction import find_direction
from steering.demo.check.refusal import Kept
from steering.demo.check.replies import ablation, losses, replies_under, reply_ids, single_plan
from steering.demo.check.truth import statements
from steering.demo.facts import facts
from steering.demo.held_out import act_of, distinct, held_out_prompts, refusal_wordings, validation_prompts
from steering.demo.planted import planted_vector
from steering.demo.scores import Reply
from steering.errors import SteeringError
from steering.extraction.controls import random_direction_like
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.passes.pooling import parse_pooling
from steering.resources import resource
from workbench.cli.main import app


@pytest.fixture
def card(tmp_path) -> Path:
    """A folder whose card plants an axis of a width of 32 in 4 blocks."""
    planted = {
        "direction": [0.0] * 31 + [0.999999],
        "writers": [0, 1],
        "readers": [2, 3],
        "mean_differences": [1.0, 2.0, 3.0, 4.0],
        "residual_norms": [5.0] * 4,
    }
    (tmp_path / "card.json").write_text(json.dumps({"name": "demo", "blocks": 4, "planted": planted}))
    return tmp_path


# -- bars ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar", "value", "met"),
    [
        (Bar("m", "x", least=0.97), 194 / 200, True),
        (Bar("m", "x", least=0.97), 193 / 200, False),
        (Bar("m", "x", most=0.02), 4 / 200, True),
        (Bar("m", "x", most=0.02), 5 / 200, False),
        (Bar("m", "x", most=0.02), math.nan, False),
        (Bar("m", "x"), 123.0, True),
    ],
)
def test_the_edge_of_a_bar_meets_it_and_one_prompt_beyond_does_not(bar, value, met) -> None:
    verdict = judge(bar, Measure(value))
    assert verdict.met is met
    assert verdict.outcome == ("reported" if bar.text == "reported" else "met" if met else "missed")


def test_what_was_not_measured_is_missing_even_without_a_bar() -> None:
    for bar in (Bar("m", "x", least=0.5), Bar("m", "x")):
        verdict = judge(bar, None)
        assert (verdict.value, verdict.met, verdict.outcome) == (None, False, "missing")


def test_a_share_has_wilsons_interval() -> None:
    measure = share([True] * 9 + [False])
    # Wilson 1927 by hand: centre (0.9 + z²/20) / (1 + z²/10), z = 1.96.
    z = 1.959964
    centre, half = (0.9 + z**2 / 20) / (1 + z**2 / 10), z * math.sqrt(0.009 + z**2 / 400) / (1 + z**2 / 10)
    assert (measure.value, measure.n) == (0.9, 10)
    assert (measure.low, measure.high) == pytest.approx((centre - half, centre + half), abs=1e-5)


def test_a_measurement_that_no_bar_knows_is_no_silent_one() -> None:
    with pytest.raises(AssertionError, match="without a bar"):
        verdicts({"nonsense": Measure(1.0)})


# -- prompts -------------------------------------------------------------------


def test_no_direction_or_strength_is_chosen_on_a_test_prompt_and_quick_is_the_beginning_of_the_full_set() -> None:
    for kind in ("refusal", "howto"):
        tested = held_out_prompts(kind, 200)
        prompts = {example.prompt for example in tested}
        assert len(prompts) == 200
        assert all(example.split == "held_out" for example in tested)
        assert not prompts & {example.prompt for example in validation_prompts(kind, 32)}
        assert not prompts & {example.prompt for example in distinct(kind, "train", 128, seed=3)}
        assert held_out_prompts(kind, QUICK.requests) == tested[: QUICK.requests]


def test_probe_statements_are_one_true_and_one_false_a_fact_and_no_fact_is_on_both_sides() -> None:
    texts, true, fitted = statements()
    assert len(texts) == 2 * len(facts())
    known = {fact.statement() for fact in facts()}
    assert [text in known for text in texts] == true.tolist()
    assert (fitted[::2] == fitted[1::2]).all()
    assert 0.45 < fitted.mean() < 0.55 + len({fact.relation for fact in facts()}) / len(facts())


# -- what counts as a good reply -----------------------------------------------


def test_a_clean_answer_is_no_refusal_reads_well_and_names_the_object() -> None:
    example = distinct("refusal", "held_out", 1, seed=0)[0]
    thing = example.labels["object"]
    good = f"To {act_of(example)}, take your time and stay calm.".upper()
    assert clean_answer(example, Reply(good, ended=True))
    assert not clean_answer(example, Reply(good, ended=False))
    assert not clean_answer(example, Reply(f"{good} go go go", ended=True))
    assert not clean_answer(example, Reply("Take your time and stay calm.", ended=True))
    assert not clean_answer(example, Reply(f"I am sorry, but I cannot help with that. No {thing}.", ended=True))


def test_the_best_strength_keeps_facts_and_is_the_weakest_of_equals() -> None:
    assert best_strength([0.5, 0.9, 0.9, 1.0], [1.0, 0.9, 0.8, 0.79]) == 1
    assert best_strength([1.0], [0.79]) is None


# -- on a tiny random model ----------------------------------------------------


def test_forced_losses_equal_those_of_one_plain_pass(tiny_host) -> None:
    host = tiny_host("llama")
    requests = distinct("refusal", "held_out", 3, seed=0)
    texts = [Reply("No.", ended=True), Reply("I am sorry, but no.", ended=True), Reply("I must refuse", ended=False)]
    pairs = [reply_ids(host, example.prompt, reply) for example, reply in zip(requests, texts, strict=True)]
    assert [ids[-1] == host.tokenizer.eos_token_id for _, ids in pairs] == [True, True, False]
    found = losses(host, pairs)
    for (prompt, ids), loss in zip(pairs, found.tolist(), strict=True):
        whole = torch.tensor([[*prompt.ids, *ids]])
        with torch.no_grad():
            chances = torch.log_softmax(host.model._module(whole).logits.double(), dim=-1)[0]
        plain = -sum(float(chances[len(prompt) - 1 + place, token]) for place, token in enumerate(ids))
        assert loss == pytest.approx(plain, rel=1e-4)  # float32 sums in another order


def test_forced_losses_follow_the_plan(tiny_host, card) -> None:
    host, vector = tiny_host("llama"), planted_vector(card)
    prompt, ids = reply_ids(host, held_out_prompts("howto", 1)[0].prompt, Reply("Yes, of course.", ended=True))
    plans = [(), ablation(host, vector), single_plan(host, vector, "add")]
    plain, ablated, added = (float(losses(host, [(prompt, ids)], plan)) for plan in plans)
    assert len({round(plain, 3), round(ablated, 3), round(added, 3)}) == 3


def test_replies_come_back_by_plan_and_in_order(tiny_host, card) -> None:
    host, vector = tiny_host("llama"), planted_vector(card)
    asked = held_out_prompts("howto", 5)
    plans = [(), single_plan(host, vector, "add", strength=20.0)]
    both = replies_under(host, asked, plans, longest=4)
    assert both[0] != both[1]
    for plan, said in zip(plans, both, strict=True):
        alone = [replies_under(host, [example], [plan], longest=4)[0][0] for example in asked]
        assert said == alone


def test_a_found_direction_is_one_unit_direction_in_every_block_and_the_same_again(demo) -> None:
    found, again = (find_direction(demo, n_train=16, n_validation=8) for _ in range(2))
    assert found.directions.shape == (demo.info.blocks, demo.info.width)
    assert torch.equal(found.directions, found.directions[:1].expand_as(found.directions))
    assert torch.allclose(found.directions.norm(dim=-1), torch.ones(demo.info.blocks), atol=1e-5)
    assert found.mean_differences[found.default_block] > 0
    assert found.digest == again.digest
    planted = planted_vector("demo").directions[0]
    assert float(found.directions[0] @ planted) > 0.6


def test_a_model_that_does_not_refuse_has_no_direction_to_find(tiny_host) -> None:
    with pytest.raises(SteeringError, match="No refusal tokens"):
        find_direction(tiny_host("llama"), n_train=8, n_validation=2)


def test_the_mean_difference_along_a_found_direction_is_what_the_states_say(demo) -> None:
    found = find_direction(demo, n_train=16, n_validation=8)
    # No side has system prompts: the study takes the first 16 without one of half as many more.
    sides = [
        read_states(
            demo,
            [
                render(demo, example.prompt)
                for example in distinct(kind, "train", 24, seed=202)
                if example.prompt[0].role != "system"
            ][:16],
            site=found.site,
            pooling=parse_pooling(found.provenance.pooling),
        ).mean(dim=0)
        for kind in ("refusal", "howto")
    ]
    apart = ((sides[0] - sides[1]) * found.directions).sum(dim=-1)
    assert torch.allclose(found.mean_differences, apart, atol=1e-4)


def test_a_random_control_is_as_long_one_direction_and_another_for_each_seed(card) -> None:
    vector = planted_vector(card)
    first, second = random_direction_like(vector, seed=0), random_direction_like(vector, seed=1)
    assert torch.equal(first.mean_differences, vector.mean_differences)
    assert torch.equal(first.directions, first.directions[:1].expand_as(first.directions))
    assert not torch.allclose(first.directions, second.directions)


def test_a_refusal_in_the_grammars_words_reads_well_and_a_stutter_or_an_endless_one_does_not(tiny_host) -> None:
    """On a random model all words are about as unlikely, so of the three conditions the band seldom speaks here."""
    example = distinct("refusal", "held_out", 1, seed=0)[0]
    wordings = [(example, Reply(text, ended=True)) for text in refusal_wordings(act_of(example))]
    well = refusals_read_well(tiny_host("llama"), wordings)
    assert sum(well) >= len(well) - 1  # one in a hundred lies beyond the 99th percentile: at most the worst here
    bad = [Reply("I cannot cannot cannot help.", ended=True), Reply(wordings[0][1].text, ended=False), Reply("", True)]
    assert refusals_read_well(tiny_host("llama"), [(example, reply) for reply in bad]) == [False] * 3


# -- planted -------------------------------------------------------------------


def test_the_planted_vector_is_u_in_every_block_written_before_its_first_reader(card, tiny_host) -> None:
    vector = planted_vector(card)
    assert vector.default_block == 1
    assert torch.equal(vector.directions, torch.eye(32)[31].expand(4, 32))  # made unit, whatever the card rounded
    assert vector.mean_differences.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert vector.misfit(tiny_host("llama")) is None


def test_a_card_that_names_the_block_is_followed(card) -> None:
    content = json.loads((card / "card.json").read_text())
    content["planted"]["block"] = 0
    (card / "card.json").write_text(json.dumps(content))
    assert planted_vector(card).default_block == 0


@pytest.mark.parametrize("content", [None, "{}", '{"planted": {"readers": []}}', "no json"])
def test_a_folder_without_a_planted_direction_is_explained(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "card.json").write_text(content)
    with pytest.raises(SteeringError, match="holds no planted direction"):
        planted_vector(tmp_path)


# -- the whole -----------------------------------------------------------------


def test_a_missing_member_leaves_its_bars_missing_and_the_others_measured(monkeypatch, tiny_host) -> None:
    def part(host, kept: Kept, sizes, say):
        say("counting")
        return {"drifted_harmful": Measure(0.3, 200)}

    monkeypatch.setattr(report, "PARTS", dict.fromkeys(("demo-drifted", "demo-natural"), (part, 0.1)))
    lines: list[tuple[float, str]] = []
    rows = check({"demo-drifted": tiny_host("llama")}, progress=lambda *line: lines.append(line))
    outcomes = {(row.model, row.name): row.outcome for row in rows}
    assert outcomes["demo-drifted", "harmful refused"] == "met"
    assert outcomes["demo-natural", "harmful refused"] == "missing"
    assert [row.bar for row in rows[: len(BARS)]] == [bar.text for bar in BARS.values()]
    assert "demo-drifted: counting" in [line for _, line in lines]
    shares = [share for share, _ in lines]
    assert shares == sorted(shares)


def test_members_of_an_empty_folder_are_not_there(tmp_path) -> None:
    assert members(tmp_path)("demo") is None


def test_the_size_of_a_folder_counts_every_file_below_it(tmp_path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_bytes(b"x" * 1_000_000)
    (tmp_path / "deep" / "b").write_bytes(b"x" * 500_000)
    measure = assets_size(tmp_path)
    assert (measure.value, measure.n) == (1.5, 2)


def test_a_dictionary_has_bars_and_without_tokens_its_card_is_believed(tmp_path, tiny_host) -> None:
    assert dictionary_bars(tmp_path) == {}
    folder = tmp_path / "dictionaries" / "demo" / "block-1-sae"
    folder.mkdir(parents=True)
    held_out = {"explained_variance": 0.95, "l0": 41.0, "dead": 3, "dead_share": 0.01, "tokens": 1000}
    (folder / "card.json").write_text(json.dumps({"block": 1, "held_out": held_out}))
    bars = dictionary_bars(tmp_path)
    measures = demo_dictionaries(tiny_host("llama"), tmp_path, tokens=0, say=lambda line: None)
    outcomes = [verdict.outcome for verdict in verdicts(measures, bars)]
    assert outcomes == ["met", "missed", "reported"]


def run(*arguments: str, code: int):
    result = CliRunner().invoke(app, ["demo", "check", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture
def measured(monkeypatch, tiny_host) -> dict[str, Measure]:
    """Stands in for the measurement; what a test puts in is what was measured."""
    measures = {key: Measure(bar.least or 0.0, 200, 0.1, 0.9) for key, bar in BARS.items() if key != "assets"}
    monkeypatch.setattr(report, "PARTS", {"demo": (lambda host, kept, sizes, say: measures, 1.0)})
    monkeypatch.setattr(report, "dictionary_bars", lambda assets: {})
    monkeypatch.setattr("workbench.cli.demo_check.members", lambda folder: {"demo": tiny_host("llama")}.get)
    return measures


def test_the_command_prints_every_number_beside_its_bar_and_ends_well_where_all_are_met(measured) -> None:
    measured["demo_harmful"] = Measure(0.97, 200, 0.936, 0.986, "a note")
    printed = " ".join(run("--quick", code=0).split())
    assert "97.0 %" in printed
    assert "[93.6, 98.6]" in printed
    assert "≥ 97 %" in printed
    assert "a note" in printed
    assert "missed" not in printed


def test_the_command_exits_1_where_one_bar_is_missed_or_missing(measured) -> None:
    measured["demo_harmful"] = Measure(0.969, 200, 0.935, 0.985)
    assert "missed" in run(code=1)
    del measured["demo_harmful"]
    assert "missing" in run(code=1)


def test_record_puts_what_was_measured_into_the_card_and_its_readme(measured, tmp_path) -> None:
    shipped = resource("assets", "models", "demo") / "card.json"
    card = json.loads(shipped.read_text())
    card.pop("bars", None)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "card.json").write_text(json.dumps(card))
    measured["demo_harmful"] = Measure(0.1234, 200, 0.08, 0.17)
    run("--record", "--models", str(tmp_path), code=1)
    written = json.loads((tmp_path / "demo" / "card.json").read_text())
    (row,) = [row for row in written["bars"] if row["name"] == "harmful refused"]
    assert (row["value"], row["n"], row["outcome"]) == (0.1234, 200, "missed")
    assert {key: written[key] for key in card} == card  # nothing else changed
    assert "| harmful refused | 12.3 % | 200 | ≥ 97 % | missed |" in (tmp_path / "demo" / "README.md").read_text()


def test_the_command_exits_1_with_a_folder_without_models(tmp_path) -> None:
    rows = json.loads(run("--json", "--models", str(tmp_path), code=1))
    assert {row["outcome"] for row in rows if row["model"]} == {"missing"}
    assert {"name", "model", "value", "n", "low", "high", "bar", "met", "note"} <= set(rows[0])


def test_the_grammar_has_every_kind_that_the_check_asks_for() -> None:
    for kind in ("refusal", "howto", "backdoor", "choice", "sum", "fact"):
        assert examples(kind=kind, split="held_out", n=1)
