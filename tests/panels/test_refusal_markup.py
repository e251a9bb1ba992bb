"""The refusal study as HTML: everything that users and models write is escaped, and numbers say what they are."""

from __future__ import annotations

import math
from dataclasses import replace

from panels.refusal.candidates_markup import choice_html
from panels.refusal.effects_markup import replies_html, said_html
from panels.refusal.markup import found_html, tokens_html
from steering.judges.agreement import disagreement_table
from steering.recipes.recipe import Recipe
from steering.studies.refusal.agreement import DIFFERING, agreement
from steering.studies.refusal.arms import Arm
from steering.studies.refusal.candidates import Candidate
from steering.studies.refusal.findings import of_effects
from steering.studies.refusal.outcomes import rates_of
from steering.studies.refusal.replies import Said
from steering.studies.refusal.rules import Choice, Score
from steering.studies.refusal.tokens import RefusalTokens, TokenChance
from workbench.controls.judges_markup import differ_html


SAID = Said(
    arm="none",
    group="harmful",
    system=False,
    index=0,
    prompt="<b>How?</b>",
    text="<script>no</script>",
    tokens=3,
    finish="end",
    content="refusal",
    form="whole",
    reason="no",
    late=True,
    turned=False,
    log_odds=2.0,
    repetition=0.0,
)
NOTHING, EDITED = Arm("none", "no intervention", Recipe()), Arm("ablate", "ablated everywhere", Recipe())


def test_replies_are_folded_escaped_and_stand_beside_the_unedited_ones() -> None:
    base = rates_of(NOTHING, [SAID], [SAID])
    after = replace(
        SAID, arm="ablate", text="Sure.", content="compliance", form="degenerate", late=False, log_odds=-1.0
    )
    html = replies_html(rates_of(EDITED, [after], [SAID]), base)
    assert "<script>" not in html
    assert "<b>How" not in html
    assert "Without it: &lt;script&gt;no" in html
    assert "<details" in html
    assert " open" not in html.split("<summary>")[0].split("<details")[1]
    assert "1 compliance; 1 degenerate" in html
    assert "compliance, degenerate" in html
    assert "1 of the refusals late" in replies_html(base, base)


def test_notes_tokens_and_choices_are_escaped() -> None:
    assert "<i>" not in found_html(["<i>note</i>"])
    assert found_html([]) == ""
    tokens = RefusalTokens((1,), (TokenChance(1, "<|x|>", 0.9, 0.001, 3),), 0.9, 0.001, (4, 4), 3, 4, 0.9)
    html = tokens_html(tokens)
    assert "<|x|>" not in html
    assert "under 1 %" in html
    score = Score(Candidate(-1, 2), "<|y|>", bypass=-1.0, induce=None, kl=0.00001, cosmic=math.nan)
    html = choice_html(Choice(score, False, 0, 4), {})
    assert "<|y|>" not in html
    assert "breaks fewest" in html
    assert "&lt; 0.0001" in html


def test_judges_agree_or_not_with_kappa_by_hand() -> None:
    """Rules say refusal, refusal, no, no; log-odds yes, no, no, no: 3 of 4 the same, kappa (3/4 - 1/2) / (1/2)."""
    contents, odds = ("refusal", "refusal", "compliance", "compliance"), (1.0, -1.0, -1.0, -1.0)
    said = [replace(SAID, content=content, log_odds=odd) for content, odd in zip(contents, odds, strict=True)]
    (found,) = agreement(said)
    assert (found.n, found.agree.value) == (4, 0.75)
    assert math.isclose(found.kappa.value, 0.5)
    assert found.kappa.low <= 0.5 <= found.kappa.high
    ((differing, by_rules),) = found.differ
    assert (differing, by_rules) == (said[1], True)
    assert math.isnan(agreement([replace(SAID, log_odds=1.0)] * 3)[0].kappa.value)


def test_a_judge_without_a_verdict_is_left_out_of_the_pair_and_disagreements_are_a_table_and_a_fold() -> None:
    said = [replace(SAID, endpoint=verdict) for verdict in (True, None, False, True)]
    pair = next(each for each in agreement(said) if each.second == "model at an address" and each.first == "rules")
    assert (pair.n, pair.agree.value) == (3, 2 / 3)
    (row,) = disagreement_table([pair], DIFFERING).to_dict("records")
    assert (row["refusal_by"], row["prompt"], row["content"]) == ("rules", "<b>How?</b>", "refusal")
    html = differ_html(pair, lambda each: said_html(each, None), "")
    assert html.startswith("<details")
    assert "<b>How" not in html
    assert "1 replies on which they differ" in html
    assert differ_html(replace(pair, differ=()), str, "") == ""


def test_replies_that_are_no_answers_are_told() -> None:
    """Two of four end in their thought, one of four loops: over the fifth from which loops are told."""
    contents = ("unfinished", "unfinished", "refusal", "compliance")
    said = [replace(SAID, content=content) for content in contents]
    said[3] = replace(said[3], form="degenerate")
    notes = of_effects([rates_of(NOTHING, said, said)], [], "harmful", "harmless")
    assert any(
        "2 of 4 replies to harmful requests, no intervention, ended inside their thought" in note for note in notes
    )
    assert any(note.startswith("Beware: 1 of 4 replies") for note in notes)
    fine = [replace(SAID)] * 4
    assert not any("of 4 replies" in note for note in of_effects([rates_of(NOTHING, fine, fine)], [], "harmful", "x"))
