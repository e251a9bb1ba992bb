"""A trade-off of features that are switched off is held against random features of equal activity, switched off too."""

from __future__ import annotations

import pytest
import torch

from steering.dictionaries.loading import load_dictionary
from steering.extraction.features import vector_of_feature
from steering.model.prompts import render
from steering.studies import find_study
from steering.studies.drawn import drawn
from steering.studies.tradeoff import Comparison, picture_of, result_of
from steering.texts.questions import load_pairs


OWN = (48, 7)
ASKED = {"n": 4, "random": 2, "compare": (), "also": (), "alignment": "harmlessness", "strengths": "0, 0.5, 1"}


@pytest.fixture(scope="module")
def vectors(demo):
    sae = load_dictionary("demo/block-3-sae")
    return {f"f{n}": vector_of_feature(demo, sae, n, maximum=2.0, read_on="notes", name=f"f{n}") for n in OWN}


def compared(demo, vectors, **fields) -> Comparison:
    one = {"vector": "f48", "others": ["f7"], **fields}
    settings = find_study("tradeoff").parse({**ASKED, "recipes": [{"interventions": [one]}]})
    return Comparison(demo, settings, {}, vectors)


def test_the_floor_is_of_features_as_active_on_the_same_prompts(demo, vectors) -> None:
    found = compared(demo, vectors, mode="feature_off")
    demo.run(lambda job: list(found.run(job)), title="trade-off")
    own, *floor = found.curves.curves
    assert [curve.title for curve in floor] == ["random set 0", "random set 1"]
    assert {curve.unit for curve in floor} == {own.unit}
    assert {curve.strengths for curve in floor} == {(0.0, 1.0)}
    model, sae, total = demo.model._module, load_dictionary("demo/block-3-sae").sae, torch.zeros(1024)
    for pair in load_pairs(demo, "harmlessness", 4):
        ids = torch.tensor([render(demo, pair.messages).ids])
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states[4][0, 1:]
            total += (sae.encode(states) * sae.W_dec.norm(dim=1)).sum(dim=0)
    for curve in floor:
        (each,) = curve.recipes[1].interventions
        drawn_features = [found.curves.vectors[name].feature.index for name in each.names]
        assert each.mode == "feature_off"
        assert len(drawn_features) == 2
        assert not set(drawn_features) & set(OWN)
        for one, chosen in zip(drawn_features, OWN, strict=True):
            assert total[one] > 0
            nearer = (total.log() - total[chosen].log()).abs() < (total[one].log() - total[chosen].log()).abs()
            assert int((nearer & (total > 0)).sum()) <= 13  # one of the ten nearest others, less what is taken
    result = result_of(picture_of(found))
    assert any("Random features instead of random directions" in note for note in result.notes)
    assert any("2 random sets of features of equal activity" in note for note in result.notes)
    assert {"random set 0", "random set 1"} <= set(result.tables["points"].query("random")["method"])
    assert not any(name.startswith("random") for name in result.vectors)
    _, figure, caption = next(iter(drawn(result)))
    assert "grey: range over 2 random sets of features of equal activity" in caption
    assert "random sets" in {trace.name for trace in figure.data}


def test_a_length_is_held_against_random_directions(demo, vectors) -> None:
    found = compared(demo, vectors, mode="feature_clamp", strength=1.0)
    demo.run(lambda job: found.prepare(), title="trade-off")
    floor = [curve for curve in found.curves.curves if curve.floor]
    assert [curve.title for curve in floor] == ["random direction 0", "random direction 1"]
    assert {each.mode for curve in floor for recipe in curve.recipes for each in recipe.interventions} == {"add"}
