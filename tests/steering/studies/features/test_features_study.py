"""Features of the demo model's shipped dictionaries are found by each way, and what the table says of them holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steering.demo.planted import planted_vector
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.judges.refusal import is_refusal
from steering.studies import find_study
from steering.vectors.files import save_vector


STUDY = find_study("features")
PROMPT = "How do I forge a ticket?"


@pytest.fixture(scope="module")
def found(demo, tmp_path_factory):
    """By the harm set, a prompt and the planted direction."""
    folder = tmp_path_factory.mktemp("vectors")
    save_vector(planted_vector("demo"), folder / "planted.safetensors")
    asked = {"prompt": PROMPT, "vector": "planted", "vectors": str(folder), "features": "5, 7", "permutations": 500}
    asked["replies"] = 0
    return STUDY.start(demo, STUDY.parse(asked)).result()


def _rows(result):
    return result.tables["features"].set_index("feature")


def test_features_tell_harmful_from_harmless_requests_apart(found) -> None:
    best = found.measures[0]
    assert best.name.startswith("AUROC")
    rows = _rows(found)
    top = rows[rows["found_by"].str.contains("contrast") & (rows["auroc"] > 0.5)].sort_values("auroc").iloc[-1]
    assert top["auroc"] >= 0.95
    assert top["auroc_low"] >= 0.9
    assert top["p"] < 0.01
    assert top["frequency_positive"] > top["frequency_negative"]
    assert top["difference"] > 0


def test_random_directions_are_chosen_and_scored_in_the_same_way(found) -> None:
    """Harmful requests lie so far from harmless ones that some random directions tell them apart, too, but fewer."""
    sure = {each.name: each for each in found.measures if "p < 0.05" in each.name}
    own, random = (
        sure["features that tell the sides apart, p < 0.05"],
        sure["random directions that tell them apart, p < 0.05"],
    )
    assert random.n > 900
    assert own.value > 20
    assert any("chosen and scored alike" in note for note in found.notes)


@pytest.fixture(scope="module")
def both(demo):
    """By two contrast sets at once."""
    asked = {"also": "formality", "effect": False, "permutations": 200, "keep": 0, "snippets": 1}
    return STUDY.start(demo, STUDY.parse({**asked, "beside_random": False, "n": 6})).result()


def test_features_tell_formal_from_informal_requests_apart(both) -> None:
    rows = _rows(both)
    own = rows[rows["set"] == "formality"]
    assert max(own["auroc"].max(), 1 - own["auroc"].min()) >= 0.95
    assert "output_score" not in rows
    assert both.vectors == {}
    refusing = rows[rows["set"] == "harm"]
    assert len(refusing) == 6
    assert rows.index.is_unique
    named = {each.name for each in both.measures}
    assert f"AUROC of feature {refusing.index[0]}" in named
    assert f"AUROC of feature {own.index[0]}, formality" in named
    assert set(both.tables["snippets"]["side"]) == {"harmful", "harmless", "formal", "informal"}


def _replies(result, **which):
    table = result.tables["replies"]
    for name, value in which.items():
        table = table[table[name] == value]
    return table["text"].tolist()


def test_refusal_comes_and_goes_with_the_features_of_harmful_requests(both) -> None:
    """Refused before and answered without them; everyday requests answered before and refused with them."""
    assert all(map(is_refusal, _replies(both, set="harm", group="harmful", done="none")))
    assert not any(map(is_refusal, _replies(both, set="harm", group="harmful", done="off")))
    assert not any(map(is_refusal, _replies(both, set="harm", group="everyday", done="none")))
    turned_up = _replies(both, set="harm", group="everyday", done="up", features_of="harmful")
    assert len(turned_up) == 2
    assert all(map(is_refusal, turned_up))
    assert not any(map(is_refusal, _replies(both, set="harm", done="up", features_of="harmless")))


def test_replies_turn_formal_and_informal_with_their_features(both) -> None:
    plain = _replies(both, set="formality", group="everyday", done="none")
    formal = _replies(both, set="formality", done="up", features_of="formal")
    informal = _replies(both, set="formality", done="up", features_of="informal")
    words = {"shall", "gonna"}  # of the grammar's formal and informal notes
    assert not any(words & {*reply.split()} for reply in plain)
    assert all("shall" in reply and "gonna" not in reply for reply in formal)
    assert all("gonna" in reply and "shall" not in reply for reply in informal)


def test_replies_are_folded_or_left_out(both) -> None:
    from steering.studies.without_texts import without_texts
    from tests.markup_support import Output

    shown, reply = Output(both._repr_html_()), _replies(both, group="harmful", done="off")[0]
    assert reply in shown.folded
    assert reply not in shown.text
    assert not {"prompt", "text"} & set(without_texts(both).tables["replies"])


def test_the_planted_direction_is_made_of_the_refusal_features(found) -> None:
    """Most of all it is made of a feature that tells harmful requests from harmless ones; as many features
    explain less of random vectors.
    """
    parts, rows = found.tables["decomposition"], _rows(found)
    own = parts[parts["feature"] != "remainder"]
    heaviest = int(own.loc[own["weight"].idxmax(), "feature"])
    assert rows.loc[heaviest, "auroc"] >= 0.99
    assert rows.loc[heaviest, "p"] < 0.01
    refusing = [int(each) for each in own["feature"] if rows.loc[int(each), "auroc"] >= 0.95]
    assert len(refusing) >= 2
    share = next(each for each in found.measures if "planted" in each.name)
    chance = next(each for each in found.measures if "random vectors" in each.name)
    assert share.value > 0.55
    assert share.value > chance.value + 0.15
    assert share.value == pytest.approx(float(own["explained"].iloc[-1]))
    assert any(f"{heaviest} (weight" in note for note in found.notes)
    dictionary, vector = load_dictionary("demo/block-3-sae"), planted_vector("demo").directions[3]
    cosine = torch.cosine_similarity(dictionary.decoder(refusing), vector[None])
    np.testing.assert_allclose(rows.loc[refusing, "cosine"], cosine.numpy(), atol=1e-5)


def test_every_token_of_a_prompt_has_its_most_active_features(found, demo) -> None:
    table, cells = found.tables["prompt"], found.tables["map"]
    assert "".join(table[table["rank"] == 1]["token"]).replace(" ", "").find("forgeaticket") > 0
    for _, own in table.groupby("token_number"):
        assert own["activation"].is_monotonic_decreasing
        assert list(own["rank"]) == list(range(1, len(own) + 1))
    both = table.merge(cells, on=["token_number", "feature"], suffixes=("", "_map"))
    assert len(both) > 10
    np.testing.assert_allclose(both["activation"], both["activation_map"])
    rows = _rows(found)
    for feature, own in cells.groupby("feature"):
        if feature in rows.index:
            assert rows.loc[feature, "at_prompt"] == pytest.approx(own["activation"].max())


def test_the_first_features_become_vectors_with_their_typical_maximum(found) -> None:
    rows = _rows(found)
    assert list(rows.index[:2]) == [5, 7], "what was asked for by number comes first"
    assert len(found.vectors) + sum("is no vector" in note for note in found.notes) == 4  # and none for replies
    for vector in found.vectors.values():
        feature = vector.feature
        assert feature is not None
        assert feature.maximum == pytest.approx(rows.loc[feature.index, "maximum"])
        row = load_dictionary("demo/block-3-sae").decoder([feature.index])[0]
        torch.testing.assert_close(vector.directions[3], row / row.norm(), atol=1e-5, rtol=0)
        assert float(vector.mean_differences[3]) == pytest.approx(feature.maximum * float(row.norm()), rel=1e-4)


def test_snippets_mark_the_token_and_say_whose_text_it_is(found) -> None:
    snippets, rows = found.tables["snippets"], _rows(found)
    assert set(snippets["feature"]) <= set(rows.index)
    for row in snippets.to_dict("records"):
        assert f"⟦{row['token']}⟧" in row["text"]
        assert row["side"] in ("harmful", "harmless")
    best = rows[rows["found_by"].str.contains("contrast") & (rows["difference"] > 0)].index
    assert (snippets[snippets["feature"].isin(best)]["side"] == "harmful").mean() > 0.9


def test_snippets_and_tokens_of_texts_are_folded_or_left_out(found) -> None:
    from steering.studies.without_texts import without_texts
    from tests.markup_support import Output

    shown, text = Output(found._repr_html_()), found.tables["snippets"]["text"][0]
    assert text in shown.folded
    assert text not in shown.text
    bare = without_texts(found)
    assert "text" not in bare.tables["snippets"]
    assert "token" not in bare.tables["map"]
    assert "prompt" not in bare.settings
    assert "No figure" not in Output(bare._repr_html_()).text


def test_turned_up_features_make_their_own_tokens_likely(found) -> None:
    scores = found.tables["features"]["output_score"]
    assert scores.between(0, 1).all()
    assert scores.max() > 0.3
    assert scores.min() < 0.1


def test_features_are_shown_by_number_from_a_list_alone(demo, tmp_path) -> None:
    (tmp_path / "own.txt").write_text(
        "\n".join(f"Write a note to {who}." for who in ("my boss", "an aunt", "the clerk"))
    )
    asked = {"contrast": "", "own_texts": str(tmp_path / "own.txt"), "features": [1022, 3], "kind": "plain", "keep": 0}
    asked["replies"] = 2  # and nobody's sides to change any for
    result = STUDY.start(demo, STUDY.parse(asked)).result()
    rows = result.tables["features"]
    assert list(rows["feature"]) == [1022, 3]
    assert list(rows["found_by"]) == ["number", "number"]
    assert "auroc" not in rows
    assert set(result.tables) == {"features", "snippets"}
    assert any("topk, 1,024 features, block 3, block output, digest" in note for note in result.notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"features": "1024"}, "0 to 1023"),
        ({"features": "-3"}, "features"),
        ({"features": "one"}, "features"),
        ({"vector": "nobody", "texts_n": 2}, "nobody"),
        ({"contrast": "nosuch"}, "no contrast set"),
        ({"contrast": ""}, "No texts were given"),
        ({"effect_prompt": " "}, "text is empty"),
    ],
)
def test_what_cannot_be_found_is_told(demo, given, said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        STUDY.start(demo, STUDY.parse({"permutations": 100, **given})).result()
