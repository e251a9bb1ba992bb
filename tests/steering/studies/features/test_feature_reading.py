"""Which features are active at which token, held against plain Hugging Face passes and sae-lens' own encoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.model.prompts import render, render_text
from steering.studies.features.pooled import maxima, pooled
from steering.studies.features.reading import Tokens, read_features, within_context
from tests.dictionary_support import saved


TEXTS = ["Write a note.", "How do I bake bread?", "Hi", "Tell me a long story about a boat that sails over the sea."]


def _states(host, prompt, block: int) -> torch.Tensor:
    """The output of a block by Hugging Face alone, (token, width)."""
    with torch.no_grad():
        out = host.model._module(torch.tensor([prompt.ids]), output_hidden_states=True)
    return out.hidden_states[block + 1][0]


@pytest.mark.parametrize("kind", ["topk", "jumprelu", "temporal"])
def test_every_token_has_the_features_that_its_own_state_activates(kind: str, tiny_host, tmp_path: Path) -> None:
    host = tiny_host("llama")
    dictionary = load_dictionary(saved(tmp_path / kind, kind, d_in=32))
    prompts = [render_text(host, text) for text in TEXTS]
    reading = read_features(host, prompts, dictionary, token_budget=20)  # several batches, padded
    found = reading.activations.of(range(dictionary.n_features))
    for text, prompt in enumerate(prompts):
        own = found[reading.tokens.text == text]
        states = _states(host, prompt, 2)[1:]
        wanted = dictionary.sae.encode(states[None])[0] if kind == "temporal" else dictionary.sae.encode(states)
        assert own.shape == (len(prompt) - 1, dictionary.n_features)
        # Equal within float error: padding and batches change the order of sums.
        torch.testing.assert_close(own, wanted.detach(), atol=2e-4, rtol=1e-4)
    assert (found != 0).any()
    assert read_features(host, prompts, dictionary, first=True).activations.n_tokens == sum(map(len, prompts))


def test_tokens_know_whose_they_are(demo) -> None:
    prompts = [render(demo, "Write a note."), render_text(demo, "Write a note.")]
    tokens = Tokens.of(prompts)
    chat, plain = (tokens.text == 0, tokens.text == 1)
    for index in range(len(tokens)):
        prompt, place = prompts[int(tokens.text[index])], int(tokens.place[index])
        assert place > 0
        assert (tokens.roles[index], tokens.pieces[index]) == (prompt.roles[place], prompt.tokens[place])
        assert int(tokens.ids[index]) == prompt.ids[place]
    assert {tokens.roles[index] for index in chat.nonzero()[:, 0].tolist()} == {"template", "user"}
    assert {tokens.roles[index] for index in plain.nonzero()[:, 0].tolist()} == {"user"}
    assert tokens.offsets.tolist() == [0, len(prompts[0]) - 1, len(prompts[0]) + len(prompts[1]) - 2]


def test_long_texts_are_cut_and_texts_of_one_token_refused(tiny_host) -> None:
    host = tiny_host("llama")
    long = render_text(host, "word " * 300)
    (cut, short), notes = within_context(host, [long, render_text(host, "a b")])
    assert len(long) > host.info.context > len(cut) == host.info.context - 1 == len(cut.roles)
    assert cut.ids == long.ids[: len(cut)]
    assert len(notes) == 1
    assert "1 text longer than the context was read up to token 127" in notes[0]
    with pytest.raises(SteeringError, match="first token"):
        Tokens.of([within_context(host, [short])[0][0].__class__("", (1,), ("user",), ("a",))])


def test_activations_of_a_text_are_its_tokens_maximum_mean_or_last(demo) -> None:
    dictionary = load_dictionary("demo/block-3-sae")
    reading = read_features(demo, [render(demo, text) for text in TEXTS], dictionary)
    dense = reading.activations.of(range(dictionary.n_features)).numpy()
    text = reading.tokens.text.numpy()
    for how, of in (
        ("max", lambda rows: rows.max(axis=0)),
        ("mean", lambda rows: rows.mean(axis=0)),
        ("last", lambda rows: rows[-1]),
    ):
        wanted = np.stack([of(dense[text == index]) for index in range(len(TEXTS))])
        np.testing.assert_allclose(pooled(reading, how).toarray(), wanted, rtol=1e-5, atol=1e-6)
    assert (dense > 0).any(axis=0).sum() > 100
    for feature, value in enumerate(maxima(reading.activations, 0.9)):
        on = dense[dense[:, feature] > 0, feature]
        assert value == pytest.approx(np.quantile(on.astype(np.float64), 0.9) if len(on) else 0.0, rel=1e-6)
