"""Dictionaries encode and decode as sae-lens does, whatever their architecture and normalisation, in little memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from steering.dictionaries import dictionary as rooms
from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.loading import dictionaries_at_hand, load_dictionary
from steering.errors import SteeringError
from steering.resources import resource
from tests.dictionary_support import AUTOENCODERS, D_IN, FEATURES, TRANSCODERS, made, saved, states


KINDS = [*AUTOENCODERS, *TRANSCODERS]
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
"""float32 sums of 24 and 96 products in another order."""


def dense(dictionary: Dictionary, x: torch.Tensor) -> torch.Tensor:
    return dictionary.encode(x).of(range(dictionary.n_features))


@pytest.mark.parametrize("kind", KINDS)
def test_encode_decode_and_reconstruct_are_sae_lens_own(kind: str, tmp_path: Path) -> None:
    dictionary, own = load_dictionary(saved(tmp_path / kind, kind)), made(kind)
    x = states(3, 40)
    with torch.no_grad():
        features = own.encode(x)
        given, whole = own.decode(features), own(x)
    share = (features != 0).float().mean()
    assert 0.01 < share < 0.7  # something to compare, and something left out
    found = dictionary.encode(x if kind == "temporal" else x.flatten(0, 1))
    assert found.n_tokens == 120
    torch.testing.assert_close(found.of(range(FEATURES)), features.flatten(0, 1), **CLOSE)
    torch.testing.assert_close(dictionary.decode(found), given.flatten(0, 1), **CLOSE)
    torch.testing.assert_close(dictionary.reconstruct(x), whole, **CLOSE)
    assert found.counts.tolist() == (features != 0).sum(dim=-1).flatten().tolist()
    within = found.features.diff()[found.tokens.diff() == 0]
    assert (within > 0).all()  # rising within a token


@pytest.mark.parametrize("kind", KINDS)
def test_some_features_are_what_all_are(kind: str, tmp_path: Path) -> None:
    dictionary = load_dictionary(saved(tmp_path / kind, kind))
    x, some = states(2, 30), [5, 90, 0, 5]
    expected = dense(dictionary, x if kind == "temporal" else x.flatten(0, 1))[:, some].reshape(2, 30, 4)
    torch.testing.assert_close(dictionary.activations(x, some), expected, **CLOSE)
    assert (expected != 0).any()
    assert dictionary.activations(x, []).shape == (2, 30, 0)


@pytest.mark.parametrize("kind", ["standard", "gated", "topk", "jumprelu", "matching_pursuit", *TRANSCODERS])
@pytest.mark.parametrize("normal", ["layer_norm", "constant_norm_rescale"])
def test_normalisation_is_honoured_in_and_out(kind: str, normal: str, tmp_path: Path) -> None:
    dictionary = load_dictionary(saved(tmp_path, kind, normalize_activations=normal))
    own, x = made(kind, normalize_activations=normal), 7 * states(30)
    with torch.no_grad():
        features = own.encode(x)
        given = own.decode(features)
        plain = made(kind).encode(x)
    assert (features - plain).abs().max() > 0.5  # it makes a difference
    found = dictionary.encode(x)
    torch.testing.assert_close(found.of(range(FEATURES)), features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(dictionary.decode(found), given, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["standard", "topk", "jumprelu", "gated"])
@pytest.mark.parametrize("subtracts", [True, False])
def test_the_decoders_bias_is_taken_off_where_the_files_say_so(kind: str, subtracts: bool, tmp_path: Path) -> None:
    dictionary = load_dictionary(saved(tmp_path, kind, apply_b_dec_to_input=subtracts))
    x = states(20)
    with torch.no_grad():
        right, wrong = (made(kind, apply_b_dec_to_input=each).encode(x) for each in (subtracts, not subtracts))
    assert (right - wrong).abs().max() > 0.1
    torch.testing.assert_close(dense(dictionary, x), right, **CLOSE)


@pytest.mark.parametrize("kind", ["standard", "topk", "layer_norm", "jumprelu_transcoder"])
def test_a_contribution_is_the_difference_that_decoding_makes(kind: str, tmp_path: Path) -> None:
    changes = {"normalize_activations": "layer_norm"} if kind == "layer_norm" else {}
    dictionary = load_dictionary(saved(tmp_path, "standard" if kind == "layer_norm" else kind, **changes))
    x, index = 5 * states(16), 3
    before = dictionary.encode(x)
    old = before.of([index])
    with torch.no_grad():
        dictionary.sae.encode(x)  # which keeps the states' length for decoding
        features = before.of(range(FEATURES))
        features[:, index] += 2.5
        after = dictionary.sae.decode(features)
    added = dictionary.contribution(x, [index], torch.full_like(old, 2.5))
    torch.testing.assert_close(after - dictionary.decode(before), added, rtol=1e-4, atol=1e-4)
    assert added.norm(dim=-1).min() > 0.1
    assert dictionary.contribution(x, [index], old - old).abs().max() == 0  # a clamp to its own value


def test_a_decoder_row_is_what_one_unit_adds(tmp_path: Path) -> None:
    for kind in ("standard", "topk"):  # TopK of sae-lens counts activations in units of the row's length
        dictionary = load_dictionary(saved(tmp_path / kind, kind))
        with torch.no_grad():
            one = dictionary.sae.decode(torch.eye(FEATURES)) - dictionary.sae.decode(torch.zeros(1, FEATURES))
        torch.testing.assert_close(dictionary.decoder([4, 9]), one[[4, 9]], **CLOSE)


def test_gradients_of_an_activation_reach_the_state(tmp_path: Path) -> None:
    dictionary = load_dictionary(saved(tmp_path, "jumprelu"))
    x = states(50).requires_grad_()
    found = dictionary.activations(x, [7])
    found.sum().backward()
    assert x.grad is not None
    on = found[:, 0] > 0
    assert on.any()
    assert not on.all()
    torch.testing.assert_close(x.grad[on], dictionary.sae.W_enc[:, 7].expand(int(on.sum()), D_IN))
    assert x.grad[~on].abs().max() == 0


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation gave."""

    numbers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = function(*args, **(kwargs or {}))
        for each in given if isinstance(given, tuple | list) else (given,):
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return given


@pytest.mark.parametrize(("kind", "tokens"), [("topk", 2000), ("jumprelu", 600)])
def test_features_never_stand_densely_for_all_tokens(kind: str, tokens: int, tmp_path: Path) -> None:
    """65,536 features x 2,000 tokens are 131 million numbers, and x 600 are 39; a piece has 16.8 million at most."""
    wide = 65_536
    changes = {"k": 32} if kind == "topk" else {}
    dictionary = load_dictionary(saved(tmp_path, kind, d_in=4, d_sae=wide, **changes))
    dictionary.sae.b_enc.sub_(6.0)  # so that few are active
    with Largest() as largest:
        found = dictionary.encode(states(tokens, width=4))
        back = dictionary.decode(found)
    assert back.shape == (tokens, 4)
    assert tokens / 2 < len(found.values) < 1000 * tokens
    assert largest.numbers <= rooms.PIECE < tokens * wide / 2
    with Largest() as largest, torch.no_grad():  # it can fail: sae-lens' own stands densely
        dictionary.sae.encode(states(260, width=4))
    assert largest.numbers == 260 * wide > rooms.PIECE


def test_pieces_are_joined_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dictionary = load_dictionary(saved(tmp_path, "topk", normalize_activations="layer_norm"))
    x = states(50)
    whole, features = dictionary.encode(x), dictionary.activations(x, [1, 2])
    monkeypatch.setattr(rooms, "PIECE", 7 * FEATURES)
    parts = dictionary.encode(x)
    assert parts.offsets.tolist() == whole.offsets.tolist()
    assert parts.features.tolist() == whole.features.tolist()
    torch.testing.assert_close(dictionary.decode(parts), dictionary.decode(whole), **CLOSE)
    torch.testing.assert_close(dictionary.activations(x, [1, 2]), features, **CLOSE)


def test_states_without_their_mean_are_read_so_and_given_back_with_it(tmp_path: Path) -> None:
    told = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    dictionary = load_dictionary(saved(tmp_path, "standard", metadata=told))
    own, x = made("standard"), states(30)
    mean = x.mean(dim=-1, keepdim=True)
    with torch.no_grad():
        expected, raw = own.encode(x - mean), own.encode(x)
    assert (expected - raw).abs().max() > 0.1
    torch.testing.assert_close(dense(dictionary, x), expected, **CLOSE)
    torch.testing.assert_close(dictionary.reconstruct(x), own.decode(expected).detach() + mean, **CLOSE)


def test_a_temporal_dictionary_asks_for_texts_and_is_not_edited(tmp_path: Path) -> None:
    dictionary = load_dictionary(saved(tmp_path, "temporal"))
    with pytest.raises(SteeringError, match="without their texts"):
        dictionary.encode(states(10))
    assert "tokens before" in dictionary.why_not_edited
    with pytest.raises(SteeringError, match="tokens before"):
        dictionary.contribution(states(2, 10), [0], torch.ones(2, 10, 1))


def test_wrong_states_and_features_are_told(tmp_path: Path) -> None:
    dictionary = load_dictionary(saved(tmp_path, "standard"))
    with pytest.raises(SteeringError, match=r"width 7.*width 24"):
        dictionary.encode(states(3, width=7))
    for wrong in (-1, FEATURES):
        with pytest.raises(SteeringError, match=f"Feature {wrong} "):
            dictionary.decoder([0, wrong])
    assert dictionary.encode(states(0)).n_tokens == 0  # no tokens are no mistake
    assert dictionary.decode(dictionary.encode(states(0))).shape == (0, D_IN)


def test_the_shipped_dictionaries_are_at_hand() -> None:
    names = dictionaries_at_hand()[:4]  # others that were trained lie behind them
    assert names == tuple(f"demo/block-{block}-{kind}" for block in (1, 3) for kind in ("sae", "transcoder"))
    first, second = load_dictionary(names[0], width=192), load_dictionary(names[3])
    assert (first.kind, first.architecture, first.reads, first.gives) == (
        "autoencoder", "topk", (1, "block_output"), (1, "block_output"),
    )  # fmt: skip
    assert (second.kind, second.architecture, second.reads, second.gives) == (
        "transcoder", "jumprelu_transcoder", (3, "mlp_input"), (3, "mlp_output"),
    )  # fmt: skip
    assert (first.model, first.n_features, first.width, first.notes) == ("demo", 1024, 192, ())
    assert first.card["held_out"]["explained_variance"] > 0.9
    by_path = load_dictionary(resource("assets", "dictionaries", *names[0].split("/")))
    assert by_path.digest == first.digest != second.digest
    assert load_dictionary(first.source).digest == first.digest
    assert load_dictionary(names[3]) is second
    assert repr(second) == (
        "<Dictionary 'demo/block-3-transcoder': jumprelu_transcoder of demo, block 3 mlp_input to block 3 "
        "mlp_output, 1,024 features, width 192>"
    )
    assert repr(first.encode(states(7, width=192))) == "<SparseActivations of 7 tokens: 32.0 of 1,024 features each>"
