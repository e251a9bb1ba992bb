"""A dictionary's health: exact where it is known what must come out, and by plain passes where not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.model.prompts import render, render_text
from steering.studies import find_study
from steering.studies.features.random_dictionary import RandomDictionary
from steering.studies.features.streams import stream_tokens
from steering.texts.contrast import ContrastSet
from tests.dictionary_support import made as random_sae


STUDY = find_study("dictionary_health")
N = 7
"""Texts a side."""
TEXTS = [
    f"Write a note to {who} about {what}."
    for who in ("my boss", "an aunt")
    for what in ("the sea", "a", "two or three")
]


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("texts") / "own.txt"
    file.write_text("\n".join(TEXTS))
    return str(file)


@pytest.fixture(scope="module")
def found(demo):
    """The shipped dictionary on a few requests, chat and plain."""
    settings = STUDY.parse({"texts_n": N, "resamples": 200})
    return STUDY.start(demo, settings).result()


def _row(result, kind: str, of: str = "dictionary"):
    rows = result.tables["health"]
    return rows[(rows["kind"] == kind) & (rows["of"] == of)].iloc[0]


def _states(demo, kind: str) -> list[torch.Tensor]:
    """States behind block 3 by Hugging Face alone, without each text's first token."""
    contrast = ContrastSet.load("harm")
    texts = [each.text for each in (*contrast.positive[:N], *contrast.negative[:N])]
    states = []
    for text in texts:
        prompt = render(demo, text) if kind == "chat" else render_text(demo, text)
        with torch.no_grad():
            out = demo.model._module(torch.tensor([prompt.ids]), output_hidden_states=True)
        states.append(out.hidden_states[4][0, 1:])
    return states


@pytest.mark.parametrize("kind", ["chat", "plain"])
def test_l0_variance_and_cosine_are_those_of_plain_passes(kind: str, demo, found) -> None:
    row, sae = _row(found, kind), load_dictionary("demo/block-3-sae").sae
    x = torch.cat(_states(demo, kind)).double()
    with torch.no_grad():
        active = sae.encode(x.float())
        given = sae.decode(active).double()
    assert row["tokens"] == len(x)
    assert row["l0"] == pytest.approx(float((active > 0).sum(dim=1).double().mean()), rel=1e-4)
    wanted = 1 - float((x - given).square().sum() / (x - x.mean(dim=0)).square().sum())
    assert row["explained_variance"] == pytest.approx(wanted, abs=1e-5)
    assert row["explained_variance_low"] < wanted < row["explained_variance_high"]
    assert row["cosine"] == pytest.approx(float(torch.cosine_similarity(x, given, dim=1).mean()), abs=1e-5)
    assert row["dead"] == pytest.approx(float((active == 0).all(dim=0).double().mean()), abs=1e-9)
    assert row["dense"] == pytest.approx(float(((active > 0).double().mean(dim=0) > 0.1).double().mean()), abs=1e-9)
    bins = found.tables["frequencies"]
    assert bins[bins["kind"] == kind]["features"].sum() == 1024
    assert bins[bins["kind"] == kind]["features"].iloc[0] == round(1024 * row["dead"])


def test_losses_are_those_of_plain_passes_with_a_hook(demo, found) -> None:
    """Summed over chat tokens behind the first, with the states of all but the first replaced."""
    module, sae = demo.model._module, load_dictionary("demo/block-3-sae").sae
    contrast = ContrastSet.load("harm")
    prompts = [render(demo, each.text) for each in (*contrast.positive[:N], *contrast.negative[:N])]
    both = [torch.cat(_states(demo, kind)) for kind in ("chat", "plain")]
    mean = torch.cat(both).mean(dim=0)
    treatments = {
        "unchanged": lambda x: x,
        "dictionary": lambda x: sae.decode(sae.encode(x)),
        "mean": lambda x: mean.expand_as(x),
        "zeros": torch.zeros_like,
    }
    losses = found.tables["losses"]
    measured = {}
    for name, function in treatments.items():
        total = n = 0

        def hook(module, args, output, function=function):
            output[:, 1:] = function(output[:, 1:])
            return output

        handle = module.model.layers[3].register_forward_hook(hook)
        for prompt in prompts:
            ids = torch.tensor([prompt.ids])
            with torch.no_grad():
                logp = torch.log_softmax(module(ids).logits[0].double(), dim=-1)
            total -= float(logp[1:-1].gather(1, ids[0, 2:, None]).sum())
            n += ids.shape[1] - 2
        handle.remove()
        row = losses[(losses["kind"] == "chat") & (losses["states"] == name)].iloc[0]
        measured[name] = total / n
        assert row["nats"] == pytest.approx(total / n, rel=1e-4), name
    assert measured["mean"] > measured["unchanged"] + 1
    for ablated in ("mean", "zeros"):
        wanted = (measured[ablated] - measured["dictionary"]) / (measured[ablated] - measured["unchanged"])
        assert _row(found, "chat")[f"recovered_{ablated}"] == pytest.approx(wanted, abs=1e-3)


def test_a_trained_dictionary_beats_a_random_one_of_equal_l0_and_size(found) -> None:
    for kind in ("chat", "plain", "chat, messages", "chat, template"):
        own, random = _row(found, kind), _row(found, kind, "random")
        assert random["l0"] == pytest.approx(32, abs=0.5)
        assert own["explained_variance_low"] > random["explained_variance_high"]
    said = " ".join(found.notes)
    assert "random directions explain" in said
    assert "larger error than 95 %" in said


def test_tokens_that_the_dictionary_was_not_made_for_lie_beyond(found) -> None:
    """It was trained on chat: more of plain tokens are given back worse than 95 % of chat ones, than the other way."""
    chat, plain = _row(found, "chat"), _row(found, "plain")
    assert plain["beyond"] > 0.05 > chat["beyond"]
    assert plain["explained_variance_high"] < chat["explained_variance_low"]


def test_a_dictionary_that_gives_everything_back_has_perfect_health(tiny_host, tmp_path: Path, listed: str) -> None:
    host = tiny_host("llama")
    sae = random_sae("standard", d_in=32, d_sae=64, hook="blocks.1.hook_resid_post")
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([torch.eye(32), -torch.eye(32)], dim=1))
        sae.W_dec.copy_(sae.W_enc.T)
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    sae.save_model(tmp_path / "whole")
    # Half of its features are active at every token, which is called not sparse where the place is looked at.
    given = {"dictionary": str(tmp_path / "whole"), "own_texts": listed, "contrast": "", "check_place": False}
    result = STUDY.start(host, STUDY.parse({**given, "kinds": "plain"})).result()
    row = _row(result, "plain")
    assert row["l0"] == pytest.approx(32, abs=0.01)
    assert row["explained_variance"] == pytest.approx(1, abs=1e-6)
    assert row["cosine"] == pytest.approx(1, abs=1e-5)
    assert row["recovered_zeros"] == pytest.approx(1, abs=1e-3)
    assert list(result.tables["health"]["kind"].unique()) == ["plain"]
    assert any("not describe" in note for note in result.notes)


def test_a_dictionary_that_fits_another_place_is_refused_by_its_name(demo) -> None:
    elsewhere = {"dictionary": "demo/block-3-sae?reads=0:block_output", "texts_n": 6, "loss": False}
    with pytest.raises(SteeringError, match=r"check_place=false") as refused:
        STUDY.start(demo, STUDY.parse(elsewhere)).result()
    assert "reads=" in refused.value.remedy
    result = STUDY.start(demo, STUDY.parse({**elsewhere, "check_place": False, "resamples": 100})).result()
    assert "does not describe these states" in result.notes[0]
    places = result.tables["places"]
    assert places["named"].sum() == 1
    named = places[places["named"]].iloc[0]
    assert named["reads"] == "block 0, block output"
    assert named["explained_variance"] < places["explained_variance"].max()


def test_the_random_dictionarys_factor_is_the_best_one(demo) -> None:
    prompts = [render(demo, text) for text in TEXTS]
    place = (3, "block_output")
    states = torch.cat([each[place] for _, each in stream_tokens(demo, prompts, [place])])
    mean = states.mean(dim=0)
    random = RandomDictionary.fitted(states, states, n_features=512, active=20, seed=0, means=(mean, mean))
    assert float(random.directions.norm(dim=1).sub(1).abs().max()) < 1e-5
    active, given = random.given_back(states)
    assert active.counts.tolist() == [20] * len(states)

    def left(factor: float) -> float:
        return float((states - mean - factor / random.factor * (given - mean)).square().sum())

    assert left(random.factor) < left(0.95 * random.factor)
    assert left(random.factor) < left(1.05 * random.factor)
    assert left(random.factor) < left(0.0)


def test_a_transcoder_is_measured_on_what_the_mlp_gives(demo) -> None:
    settings = STUDY.parse({"dictionary": "demo/block-3-transcoder", "texts_n": 6, "kinds": "chat", "resamples": 100})
    result = STUDY.start(demo, settings).result()
    row = _row(result, "chat")
    assert row["explained_variance"] > 0.6
    assert row["explained_variance"] > _row(result, "chat", "random")["explained_variance"] + 0.3
    assert row["recovered_mean"] > 0.8
    assert result.tables["places"]["reads"].iloc[0] == "block 3, MLP input"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"contrast": "", "own_texts": ""}, "No texts were given"),
        ({"dictionary": "./nowhere"}, "There is no dictionary"),
        ({"kinds": "speech"}, "kinds"),
        ({"texts_n": 1}, "texts_n"),
    ],
)
def test_what_cannot_be_measured_is_told_at_once(demo, given, said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        STUDY.start(demo, STUDY.parse(given)).result()


@pytest.mark.parametrize(
    "study", ["dictionary_health", "features", "feature_cause", "feature_attribution", "feature_shift"]
)
def test_a_dictionary_that_is_not_there_is_told_with_the_size(demo, tiny_host, study: str) -> None:
    """Which is asked for before anything is printed or computed."""
    size, parse = find_study(study).size, find_study(study).parse
    assert size(demo, parse({})).works
    assert size(demo, parse({"dictionary": "gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71"})).works
    for missing in ("./nowhere", "demo/block-9-sae", "hub:owner/name", "demo/block-3-sae?read=3"):
        with pytest.raises(SteeringError, match=r"no dictionary|owner/name/folder|reads, gives"):
            size(demo, parse({"dictionary": missing}))
    with pytest.raises(SteeringError, match="No dictionary was named"):
        size(tiny_host("llama"), parse({}))


def test_a_dictionary_of_another_width_is_refused(tiny_host, listed: str) -> None:
    given = {"dictionary": "demo/block-3-sae", "contrast": "", "own_texts": listed}
    with pytest.raises(SteeringError, match="width 192"):
        STUDY.start(tiny_host("llama"), STUDY.parse(given)).result()
    with pytest.raises(SteeringError, match="No dictionary was named"):
        STUDY.start(tiny_host("llama"), STUDY.parse({})).result()
