"""The screen of refusal candidates: equal to a plain loop with hooks, and its rules and choice."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.plain_screen import plain_scores
from steering.errors import SteeringError
from steering.model.prompts import render
from steering.passes.exact import divergence
from steering.passes.tail_states import tail_length
from steering.studies.refusal import passes
from steering.studies.refusal.candidates import Candidate, Directions, cosines, read_directions
from steering.studies.refusal.requests import load_requests, prompts_of
from steering.studies.refusal.rules import Rules, Score, choose
from steering.studies.refusal.screen import Screen
from steering.studies.refusal.tokens import log_odds
from steering.vectors.vector import Provenance


SCORES = ("bypass", "induce", "kl", "cosmic")
NOBODY = Provenance.made_elsewhere()


@pytest.fixture(scope="module")
def requests(demo):
    """The demo model's own, a few."""
    found = load_requests(demo, sizes=(16, 6, 4))
    return {
        name: (prompts_of(demo, getattr(found, name).target), prompts_of(demo, getattr(found, name).control))
        for name in ("train", "validation")
    }


def screened(host, prompts, tokens, *, rules=None, complete=True, known=None):
    """Directions, the plain loop's input, and every candidate's last score."""
    train, validation = prompts["train"], prompts["validation"]
    n = tail_length([*train[0], *train[1]])
    found = {}

    def work(job):
        directions = read_directions(host, *train, n, NOBODY)
        screen = Screen(host, *validation, directions, tokens)
        for score in screen.scores(job, rules or Rules(), complete=complete, known=known):
            found[score.candidate] = score
        return directions

    return host.run(work, title="screen"), found


TOKENS = (46, 1887, 1858)


@pytest.fixture(scope="module")
def whole(demo, requests):
    """What a screen of the demo finds where nothing is left out: rules bear on none of its scores."""
    return screened(demo, requests, TOKENS)


def assert_equal_to_plain(host, prompts, tokens, screened_so) -> None:
    directions, found = screened_so
    plain = plain_scores(host, *prompts["validation"], directions.differences, tokens)
    assert len(plain) >= host.info.blocks - 1
    for place, expected in plain.items():
        score = found[Candidate(*place)]
        # float32 passes in another order; log-odds reach tens, so the tolerance is relative too
        for name in SCORES:
            assert getattr(score, name) == pytest.approx(expected[name], rel=2e-3, abs=2e-4), (place, name)
    rules, blocks = Rules(max_kl=math.inf), host.info.blocks
    by_hand = [
        (values["bypass"], Candidate(*place))
        for place, values in plain.items()
        if values["induce"] >= 0 and place[1] < int(0.8 * blocks)
    ]
    if by_hand:
        assert choose(list(found.values()), rules, blocks).score.candidate == min(by_hand)[1]


def test_all_scores_and_the_choice_equal_those_of_the_plain_loop_on_demo(demo, requests, whole) -> None:
    assert_equal_to_plain(demo, requests, TOKENS, whole)


def test_and_on_a_model_with_random_weights(tiny_host, requests) -> None:
    """Half the vocabulary as refusal tokens, so that the log-odds lie around zero and the rules drop some."""
    host, half = tiny_host("llama"), tuple(range(0, 3072, 2))
    assert_equal_to_plain(host, requests, half, screened(host, requests, half))


def test_leaving_out_dropped_candidates_changes_neither_choice_nor_scores(demo, requests, whole) -> None:
    whole = whole[1]
    _, part = screened(demo, requests, TOKENS, complete=False)
    unmeasured = [candidate for candidate, score in part.items() if not score.measured]
    assert unmeasured, "some are dropped before the dear score"
    for candidate, score in part.items():
        for name in SCORES:
            value = getattr(score, name)
            if value is not None:  # rows of another batch: float32 sums in another order
                assert value == pytest.approx(getattr(whole[candidate], name), rel=1e-3, abs=1e-4)
    chosen = [choose(list(each.values()), Rules(), 6).score.candidate for each in (whole, part)]
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize("rules", [Rules(max_kl=1e-9), Rules(min_induce=99.0), Rules(max_depth=0.01)])
def test_where_none_passes_leaving_out_changes_nothing_either(demo, requests, whole, rules) -> None:
    both = [whole[1], screened(demo, requests, TOKENS, rules=rules, complete=False)[1]]
    choices = [choose(list(found.values()), rules, 6) for found in both]
    assert not any(choice.passes for choice in choices)
    assert choices[0].score.candidate == choices[1].score.candidate


def test_known_scores_are_given_and_not_measured_again(demo, requests) -> None:
    known = Score(Candidate(-1, 3), "?", bypass=-99.0, induce=9.0, kl=0.0, cosmic=2.0)
    _, found = screened(demo, requests, (46,), known={known.candidate: known})
    assert found[known.candidate] == replace(known, token=found[known.candidate].token)
    assert found[Candidate(-1, 2)].bypass > -99


@pytest.mark.parametrize("complete", [True, False])
def test_what_goes_on_from_kept_scores_ends_at_the_numbers_of_an_undisturbed_screen(demo, requests, complete) -> None:
    _, whole = screened(demo, requests, (46,), complete=complete)
    measured = [each for each, score in whole.items() if score.measured]
    assert (len(measured) < len(whole)) != complete
    for kept in (measured[::2], measured):  # part of a batch, and all
        _, again = screened(demo, requests, (46,), complete=complete, known={each: whole[each] for each in kept})
        assert again == whole  # to the last digit: every batch is what it was


def test_without_refusal_tokens_kl_and_cosmic_are_scored_and_may_choose(demo, requests) -> None:
    _, found = screened(demo, requests, ())
    scores = list(found.values())
    assert all(score.bypass is None and score.induce is None for score in scores)
    assert all(score.measured for score in scores)
    choice = choose(scores, Rules(), 6, "cosmic")
    assert choice.passes
    assert choice.score.cosmic == max(s.cosmic for s in scores if not s.reasons(Rules(), 6, "cosmic"))


def test_directions_are_raw_differences_of_means_at_the_template_tokens(demo, requests) -> None:
    """Against means of states read one prompt at a time by Hugging Face's own output."""
    target, control = (side[:5] for side in requests["train"])
    found = demo.run(lambda job: read_directions(demo, target, control, 2, NOBODY), title="read")
    assert found.tokens == ("<|end|>", "<|assistant|>")
    means = []
    for side in (target, control):
        states = []
        for prompt in side:
            with torch.no_grad():
                out = demo.model._module(torch.tensor([prompt.ids]), output_hidden_states=True)
            states.append(torch.stack([h[0, -2:] for h in out.hidden_states[:-1]], dim=1).double())
        means.append(torch.stack(states).mean(dim=0))
    # hidden_states[l] is the input of block l; float32 sums
    torch.testing.assert_close(found.differences, means[0] - means[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.control, means[1], rtol=1e-4, atol=1e-5)
    assert found.unit(Candidate(-1, 0)) is None, "equal tokens embed equally"
    assert found.unit(Candidate(-1, 3)).norm() == pytest.approx(1, abs=1e-6)


def test_a_vector_is_one_direction_with_each_blocks_difference_along_it() -> None:
    differences = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [3.0, 4.0]]]).double()
    control = torch.tensor([[[1.0, 1.0]] * 3]).double()
    directions = Directions(("t",), differences, control, torch.ones(1, 3).double(), NOBODY)
    vector = directions.vector(Candidate(-1, 1), "refusal")
    assert vector.directions.tolist() == [[0.0, 1.0]] * 3
    assert vector.mean_differences.tolist() == [0.0, 4.0, 4.0]
    assert vector.references.tolist() == [1.0] * 3
    assert (vector.site, vector.default_block, vector.provenance.pooling) == ("block_input", 1, "-1")
    expected = [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8], [0.6, 0.8, 1.0]]
    assert cosines(directions, directions.candidates).tolist() == pytest.approx(np.array(expected))


def test_log_odds_and_smoothed_kl_by_hand() -> None:
    p = [0.5, 0.3, 0.2]
    q = [0.1, 0.6, 0.3]
    logits, other = (torch.tensor(each).double().log() for each in (p, q))
    assert float(log_odds(logits, (0,))) == pytest.approx(0.0, abs=1e-7)
    assert float(log_odds(logits, (0, 1))) == pytest.approx(math.log(0.8 + 1e-8) - math.log(0.2 + 1e-8))
    expected = sum(a * (math.log(a + 1e-6) - math.log(b + 1e-6)) for a, b in zip(p, q, strict=True))
    assert float(divergence(logits, other, smoothing=1e-6)) == pytest.approx(expected)
    certain = torch.tensor([100.0, -100.0])
    assert float(log_odds(certain, (0,))) == pytest.approx(math.log(1 + 1e-8) - math.log(1e-8))


FINE = Score(Candidate(-1, 2), "t", bypass=-5.0, induce=1.0, kl=0.01, cosmic=1.5)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"candidate": Candidate(-1, 8)}, "late: block 8 of 10"),
        ({"induce": -0.1}, "induces no refusal"),
        ({"kl": 0.2}, "changes harmless replies"),
        ({"bypass": math.nan}, "not a finite number"),
        ({"kl": math.inf}, "not a finite number"),
        ({"flat": True}, "no difference"),
    ],
)
def test_every_rule_drops_with_its_reason(change, part) -> None:
    assert FINE.reasons(Rules(), 10) == ()
    reasons = replace(FINE, **change).reasons(Rules(), 10)
    assert len(reasons) == 1
    assert part in reasons[0]


def test_edges_of_the_rules_pass_as_in_the_paper() -> None:
    """Drop at induce < 0, KL > 0.1 and block >= int(0.8 L)."""
    assert replace(FINE, induce=0.0, kl=0.1, candidate=Candidate(-1, 7)).reasons(Rules(), 10) == ()
    assert replace(FINE, candidate=Candidate(-1, 4)).reasons(Rules(), 6), "int(0.8 x 6) is 4"


def test_the_lowest_bypass_of_those_that_pass_is_chosen_however_low_a_dropped_one_is() -> None:
    degenerate = replace(FINE, candidate=Candidate(-1, 1), bypass=-20.0, kl=13.0)
    choice = choose([FINE, degenerate, replace(FINE, candidate=Candidate(-2, 2), bypass=-4.0)], Rules(), 10)
    assert (choice.score, choice.passes, choice.n_passing) == (FINE, True, 2)


def test_where_none_passes_the_one_that_breaks_fewest_rules_is_shown_and_flagged() -> None:
    worse = replace(FINE, candidate=Candidate(-1, 9), bypass=-20.0, kl=13.0)
    better = replace(FINE, candidate=Candidate(-2, 3), kl=0.15)
    choice = choose([worse, better], Rules(), 10)
    assert (choice.score, choice.passes, choice.n_passing) == (better, False, 0)


def test_no_direction_at_all_is_an_error_that_says_so() -> None:
    with pytest.raises(SteeringError, match="the same at every token"):
        choose([replace(FINE, flat=True)], Rules(), 10)


def test_a_prompt_without_template_has_one_place_and_a_shared_tail_several(demo, tiny_host) -> None:
    prompts = [render(demo, text) for text in ("Hello.", "How are you today?")]
    assert tail_length(prompts) == 2
    bare = [replace(prompt, roles=("user",) * len(prompt)) for prompt in prompts]
    assert tail_length(bare) == 1
    assert tail_length([prompts[0], replace(prompts[1], ids=(*prompts[1].ids[:-2], 5, prompts[1].ids[-1]))]) == 1


def test_prompts_are_read_beside_those_of_about_their_length(tiny_host, monkeypatch) -> None:
    """And come back in their own order."""
    host, shapes, read = tiny_host("llama"), [], passes.read_prompts
    prompts = [render(host, " ".join(["tea"] * n)) for n in (40, 1, 12, 2, 38, 1, 13)]
    alone = torch.cat([passes.Passes(host, [prompt]).outputs for prompt in prompts])
    assert len({repr(each) for each in alone}) == 6  # two prompts are the same

    def counted(of, batch, *given, **options):
        shapes.append((batch.real.numel(), int(batch.real.sum())))
        return read(of, batch, *given, **options)

    monkeypatch.setattr(passes, "read_prompts", counted)
    torch.testing.assert_close(passes.Passes(host, prompts).outputs, alone, rtol=1e-4, atol=1e-4)
    assert len(shapes) == 3
    assert sum(tokens for _, tokens in shapes) == sum(map(len, prompts))
    assert all(places <= 1.3 * tokens for places, tokens in shapes)
