"""A trained vector beside a recipe: on pairs that are not measured, at its budget, and where it cannot be made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from steering.errors import SteeringError
from steering.model.host import Host
from steering.recipes import nats
from steering.recipes.nats import divergences, own_replies
from steering.studies import find_study
from steering.studies.tradeoff import Comparison
from steering.studies.tradeoff.making import Maker
from steering.studies.tradeoff.trained import trained_curve
from steering.texts.preferences import Preference
from steering.texts.questions import load_pairs
from steering.training.texts import digest_of
from tests.few_replies import few_replies


SETTINGS = {
    "recipes": ["formality"],
    "strengths": "0, 1",
    "alignment": "formality",
    "n": 150,
    "random": 0,
    "compare": ["trained"],
    "loss": "sft",
    "train_steps": 4,
    "train_nats": 0.5,
    "also": [],
}


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """The budget is searched and measured on the same replies."""
    with few_replies(4):
        yield


def maker(host: Host, **settings: object) -> Maker:
    return Maker(host, find_study("tradeoff").parse({**SETTINGS, **settings}).on(host), {})


def test_it_is_trained_on_other_pairs_and_costs_its_budget(demo: Host) -> None:
    made = maker(demo)
    curve = demo.run(lambda job: trained_curve(made, "trained"), title="Training")
    assert (curve.key, curve.strengths, curve.writes) == ("trained", (0, 1), True)
    vector = made.vectors["formality (sft)"]
    others = load_pairs(demo, "formality", 450)[150:]
    assert 8 <= len(others) < 50
    pairs = [Preference(each.messages, each.aligned, each.misaligned) for each in others]
    assert vector.provenance.contrast_digest == digest_of(pairs), "and on no pair that is measured"
    (write,) = curve.treatments[1].plan
    assert write.block == made.vectors["formality"].default_block
    kl = divergences(demo, [curve.treatments[1].plan], own_replies(demo, nats.calibration_prompts()))
    assert float(kl.quantile(0.95)) == pytest.approx(0.5, rel=0.1)  # the search ends within 2 %
    assert any("10 pairs" in note or f"{len(pairs)} pairs" in note for note in made.notes)


def test_what_cannot_be_trained_is_left_out_and_said(demo: Host) -> None:
    for settings, said in (({"loss": "magic"}, "magic"), ({"n": 158}, "2 pairs")):
        with pytest.raises(SteeringError, match=said):
            trained_curve(maker(demo, **settings), "trained")
    compared = Comparison(demo, find_study("tradeoff").parse({**SETTINGS, "loss": "magic"}), {})
    demo.run(lambda job: compared.prepare(), title="trade-off")
    assert any("Left out: trained" in note for note in compared.notes)
