"""Sparse dictionaries: the states are the model's own, training learns, and what is saved is what was trained."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from steering.demo import examples
from steering.demo.block_states import read_tokens
from steering.demo.dictionaries import load_dictionary, train_dictionaries
from steering.demo.dictionary_training import DictionarySettings, measure, train_autoencoder, train_transcoder
from steering.demo.tokens import encode
from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.resources import resource
from tests.conftest import tiny_model


TEXTS = ["Hello.", "Write a review of the hotel.", "What is two plus three, and what is five plus six?"]
NAMES = ["block-1-sae", "block-1-transcoder", "block-3-sae", "block-3-transcoder"]


def small(out: Path, **changes: Any) -> DictionarySettings:
    sizes = {"features": 64, "active": 8, "tokens": 3000, "held_out_tokens": 600, "steps": 250, "batch": 256}
    return replace(DictionarySettings(out=out, silent_after=10), **{**sizes, **changes})


@pytest.fixture(scope="module")
def trained(tiny_host, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """Four small dictionaries of a tiny random model, and their cards."""
    out = tmp_path_factory.mktemp("dictionaries") / "tiny"
    shares: list[float] = []
    cards = train_dictionaries(tiny_host("llama"), small(out), progress=lambda share, line: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    return out, cards


def test_the_states_are_the_models_own(tiny_host: Callable[[str], Host]) -> None:
    host, model = tiny_host("llama"), tiny_model("llama")
    prompts = [render(host, text) for text in TEXTS]
    assert len({len(prompt) for prompt in prompts}) == 3  # so that rows are padded
    states = read_tokens(host, [prompt.ids for prompt in prompts], (1, 3))
    # Batches go by length, and these are sorted by length: the last token of each is where its run of states ends.
    ends = torch.tensor([len(prompt) - 1 for prompt in prompts]).cumsum(0) - 1
    for site in ("block_output", "mlp_output"):
        last = read_states(host, prompts, site=site)
        for block in (1, 3):
            found = getattr(states[block], site)
            assert len(found) == ends[-1] + 1  # all but one token a conversation
            torch.testing.assert_close(found[ends], last[:, block], rtol=1e-5, atol=1e-5)
    # The model's own MLP turns the one into the other, at every token; float32 leaves rounding in the last digits.
    for block in (1, 3):
        with torch.no_grad():
            out = model.model.layers[block].mlp(states[block].mlp_input)
        torch.testing.assert_close(out, states[block].mlp_output, rtol=1e-4, atol=1e-5)
        assert (out - states[block].mlp_output.roll(1, dims=0)).abs().max() > 0.1  # another token's would not do


def test_what_enters_the_mlp_is_what_the_model_gives_it(tiny_host: Callable[[str], Host]) -> None:
    prompt, seen = render(tiny_host("llama"), TEXTS[1]), {}
    states = read_tokens(tiny_host("llama"), [prompt.ids], (1,))[1]
    mlp = tiny_model("llama").model.layers[1].mlp
    handle = mlp.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0][0]))
    with torch.no_grad():
        tiny_model("llama")(torch.tensor([prompt.ids]))
    handle.remove()
    torch.testing.assert_close(states.mlp_input, seen["x"][1:], rtol=1e-4, atol=1e-5)
    ratio = seen["x"][0].norm() / seen["x"][1:].norm(dim=-1).mean()
    assert states.first_norm["mlp_input"] == pytest.approx(float(ratio), rel=1e-4)


def test_figures_are_what_they_say() -> None:
    """Independent arithmetic on a dictionary that keeps the first of two coordinates where it is positive."""

    class First:
        cfg = namedtuple("cfg", "d_sae")(3)

        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x[:, 0].relu(), x[:, 0] * 0, x[:, 0] * 0], dim=1)

        def decode(self, a: torch.Tensor) -> torch.Tensor:
            return torch.stack([a[:, 0], a[:, 0] * 0], dim=1)

    x = torch.tensor([[3.0, 0.0], [-1.0, 0.0], [1.0, 2.0], [1.0, -2.0]])
    # Around the mean (1, 0): 4 + 4 + 4 + 4 = 16. Left over: 0 + 1 + 4 + 4 = 9. Active: 3 of 4 tokens, 1 of 3 features.
    figures = measure(First(), x, x)
    assert figures["explained_variance"] == pytest.approx(1 - 9 / 16, abs=1e-4)
    assert (figures["l0"], figures["dead"], figures["tokens"]) == (0.75, 2, 4)
    assert figures["dead_share"] == pytest.approx(2 / 3, abs=1e-4)


def test_training_learns_and_leaves_a_whole_folder(trained: tuple[Path, dict[str, Any]]) -> None:
    out, cards = trained
    assert [path.name for path in out.parent.iterdir()] == ["tiny"]
    assert sorted(path.name for path in out.iterdir()) == sorted(cards) == NAMES
    for name, card in cards.items():
        assert card == json.loads((out / name / "card.json").read_text())
        left = [share for _, share in card["variance_left"]]
        assert left[-1] < 0.6 * left[0]
        assert card["held_out"]["explained_variance"] > 0.3
        assert 0 < card["held_out"]["l0"] <= (8 if name.endswith("sae") else 16)
        assert card["held_out"]["tokens"] >= 600


@pytest.mark.parametrize("name", NAMES)
def test_the_files_load_with_sae_lens_itself(name: str, trained: tuple[Path, dict[str, Any]]) -> None:
    from sae_lens import SAE

    out, _ = trained
    sae = SAE.load_from_disk(out / name)
    block, kind = int(name.split("-")[1]), name.split("-")[2]
    sites = {"sae": ("block_output", "block_output"), "transcoder": ("mlp_input", "mlp_output")}[kind]
    assert (sae.cfg.d_in, sae.cfg.d_sae) == (32, 64)
    assert sae.cfg.architecture() == {"sae": "topk", "transcoder": "jumprelu_transcoder"}[kind]
    assert sae.cfg.metadata.model_name == "tiny-llama"
    assert sae.cfg.metadata.block == block
    assert (sae.cfg.metadata.reads, sae.cfg.metadata.gives) == sites
    assert sae(torch.randn(5, 32)).shape == (5, 32)


@pytest.mark.parametrize("kind", ["sae", "transcoder"])
def test_the_saved_one_gives_what_the_trained_one_gives(kind: str, tmp_path: Path) -> None:
    from sae_lens import SAE
    from sae_lens.saes.sae import SAEMetadata

    made = torch.Generator().manual_seed(0)
    x = 20 * torch.randn(600, 32, generator=made) + 5  # far from unit scale and zero mean, which training undoes
    y = torch.tanh(x @ torch.randn(32, 24, generator=made) / 60) * 3 - 1
    settings = small(tmp_path, steps=60)
    if kind == "sae":
        own = train_autoencoder(x, settings, SAEMetadata(), lambda step, left: None)
        own.save_inference_model(tmp_path)
    else:
        own = train_transcoder(x, y, settings, SAEMetadata(), lambda step, left: None)
        own.save_model(tmp_path)
    loaded = SAE.load_from_disk(tmp_path)
    with torch.no_grad():
        features = own.encode(x)
        assert (features > 0).any()
        # Saving folds the norms of the decoder into the encoder, hence rounding and no more.
        torch.testing.assert_close(loaded.encode(x), features, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(loaded.decode(features), own.decode(features), rtol=1e-4, atol=1e-4)
        target = x if kind == "sae" else y
        assert (loaded(x) - target).pow(2).sum() < 0.8 * (target.mean(dim=0) - target).pow(2).sum()
        torch.testing.assert_close(loaded.W_dec.norm(dim=1), torch.ones(64), rtol=1e-4, atol=1e-4)


def test_a_broken_run_leaves_nothing_and_keeps_what_was_there(tiny_host, tmp_path: Path) -> None:
    class Interrupt(Exception):
        pass

    def interrupt(share: float, line: str) -> None:
        if share > 0.7:
            raise Interrupt

    settings = small(tmp_path / "new", steps=4, tokens=300)
    with pytest.raises(Interrupt):
        train_dictionaries(tiny_host("llama"), settings, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new" / "block-0-sae").mkdir(parents=True)
    (tmp_path / "new" / "block-0-sae" / "card.json").write_text("{}")  # a folder of dictionaries may be replaced
    (tmp_path / "new" / "old.txt").write_text("old")
    with pytest.raises(Interrupt):
        train_dictionaries(tiny_host("llama"), settings, progress=interrupt)
    assert (tmp_path / "new" / "old.txt").read_text() == "old"
    train_dictionaries(tiny_host("llama"), replace(settings, blocks=(2,)))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["block-2-sae", "block-2-transcoder"]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_the_same_seed_gives_the_same_weights(tiny_host, tmp_path: Path) -> None:
    files = []
    for name in ("first", "second"):
        train_dictionaries(tiny_host("llama"), small(tmp_path / name, steps=3, tokens=300, blocks=(1,)))
        files.append((tmp_path / name / "block-1-transcoder" / "sae_weights.safetensors").read_bytes())
    assert files[0] == files[1]


def test_a_card_comes_with_the_dictionary_and_its_width_is_checked(trained: tuple[Path, dict[str, Any]]) -> None:
    out, cards = trained
    found = load_dictionary(out / NAMES[1], width=32)
    assert found.card == cards[NAMES[1]]
    assert found.sae.cfg.d_out == 32
    with pytest.raises(SteeringError, match=r"width 32.*width 192"):
        load_dictionary(out / NAMES[1], width=192)


def test_no_dictionary_and_a_damaged_one(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(SteeringError, match="cannot be read"):
        load_dictionary(tmp_path / "nowhere")
    shutil.copytree(trained[0] / NAMES[0], tmp_path / "damaged")
    whole = (tmp_path / "damaged" / "sae_weights.safetensors").read_bytes()
    (tmp_path / "damaged" / "sae_weights.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SteeringError, match="cannot be read"):
        load_dictionary(tmp_path / "damaged")


def test_models_and_places_that_will_not_do(tiny_host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SteeringError, match="There is no folder"):
        train_dictionaries(tmp_path / "nowhere", small(tmp_path / "out"))
    with pytest.raises(SteeringError, match="GPT2 architecture"):
        train_dictionaries(tiny_host("gpt2"), small(tmp_path / "out"))
    with pytest.raises(SteeringError, match="Block 4"):
        train_dictionaries(tiny_host("llama"), small(tmp_path / "out", blocks=(1, 4)))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SteeringError, match="cannot be written"):
        train_dictionaries(tiny_host("llama"), small(tmp_path / "file" / "out"))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    with pytest.raises(SteeringError, match="5 MB free"):
        train_dictionaries(tiny_host("llama"), small(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_dictionaries_give_back_the_demo_models_held_out_states(demo, name: str) -> None:
    """Afresh on a few thousand tokens; the cards' figures are from ten times as many."""
    folder = resource("assets", "dictionaries", "demo", name)
    loaded = load_dictionary(folder, width=demo.info.width)
    conversations = [encode(demo.tokenizer, each.messages)[0] for each in examples(split="held_out", n=60, seed=9)]
    states = read_tokens(demo, conversations, [loaded.card["block"]])[loaded.card["block"]]
    inputs, targets = (getattr(states, loaded.card[end]) for end in ("reads", "gives"))
    found = measure(loaded.sae, inputs, targets)
    assert found["tokens"] > 2000
    for figures in (found, loaded.card["held_out"]):
        assert figures["explained_variance"] >= 0.9
        assert figures["l0"] <= 40
    shuffled = inputs[:, torch.randperm(inputs.shape[1], generator=torch.Generator().manual_seed(0))]
    assert measure(loaded.sae, shuffled, targets)["explained_variance"] < 0.5  # it can fail
