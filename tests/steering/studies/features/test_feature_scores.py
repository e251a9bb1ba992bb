"""Promoted tokens and output scores, held against plain passes with a hook."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from steering.dictionaries.loading import load_dictionary
from steering.model.prompts import render, render_text
from steering.studies.features.output_score import input_scores, output_scores, strongest
from steering.studies.features.promoted import promoted
from steering.studies.features.reading import read_features
from steering.studies.features.snippets import marked
from tests.dictionary_support import saved


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])  # a norm without centring, and one with centring and bias
def test_promoted_tokens_are_read_through_the_models_final_norm(architecture: str, tiny_host) -> None:
    host = tiny_host(architecture)
    module = host.model._module
    norm = module.transformer.ln_f if architecture == "gpt2" else module.model.norm
    directions = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = module.get_output_embeddings()(norm(directions * 32**0.5 / directions.norm(dim=-1, keepdim=True)))
    known = min(len(host.tokenizer), host.info.vocabulary)
    wanted = logits[:, :known].topk(6).indices
    found = host.run(lambda job: promoted(host, directions, 6), title="promoted")
    assert found.tolist() == wanted.tolist()


def test_an_output_score_is_that_of_a_pass_with_the_feature_turned_up(tiny_host, tmp_path: Path) -> None:
    host = tiny_host("llama")
    dictionary = load_dictionary(saved(tmp_path / "own", "topk", d_in=32))
    prompt, features = render_text(host, "From my experience,"), [3, 50, 77]
    tokens = torch.randint(0, 3000, (3, 20), generator=torch.Generator().manual_seed(0))
    found = host.run(
        lambda job: output_scores(job, host, dictionary, features, tokens, prompt, 10.0), title="output scores"
    )
    module, ids = host.model._module, torch.tensor([prompt.ids])
    with torch.no_grad():
        last = module(ids, output_hidden_states=True).hidden_states[3][0, -1:]
    rise = 10 * float(dictionary.sae.encode(last).max())
    assert rise > 0
    for row, feature in enumerate(features):
        added = rise * dictionary.decoder([feature])[0]

        def hook(module, args, output, added=added):
            output[:, -1] += added
            return output

        handle = module.model.layers[2].register_forward_hook(hook)
        with torch.no_grad():
            chances = torch.softmax(module(ids).logits[0, -1].double(), dim=-1)
        handle.remove()
        order = chances.argsort(descending=True).tolist()
        rank = min(order.index(token) for token in tokens[row].tolist())
        wanted = (1 - rank / len(order)) * float(chances[tokens[row]].max())
        assert float(found[row]) == pytest.approx(wanted, rel=1e-3, abs=1e-9)


def test_an_input_score_counts_texts_whose_most_active_token_is_promoted(demo) -> None:
    dictionary = load_dictionary("demo/block-3-sae")
    prompts = [
        render(demo, f"Write a note to my {who} about the {what}.")
        for who in ("boss", "aunt", "clerk")
        for what in ("tour", "dinner", "exam", "film")
    ]
    reading = read_features(demo, prompts, dictionary)
    dense = reading.activations.of(range(dictionary.n_features))
    counts = [(dense[reading.tokens.text == text] > 0).any(dim=0) for text in range(len(prompts))]
    everywhere = int(torch.stack(counts).all(dim=0).nonzero()[0])
    places = strongest(reading, everywhere, 100)
    assert len(places) == len(prompts)
    values = dense[places, everywhere]
    assert (values.diff() <= 0).all()
    for place in places.tolist():
        own = reading.tokens.text == reading.tokens.text[place]
        assert float(dense[place, everywhere]) == float(dense[own, everywhere].max())
    ids = reading.tokens.ids[places]
    tokens = torch.tensor([[int(ids[0])] * 20])
    wanted = float((ids == ids[0]).double().mean())
    assert wanted > 0
    assert float(input_scores(reading, [everywhere], tokens)[0]) == pytest.approx(wanted)
    silent = int((~torch.stack(counts).any(dim=0)).nonzero()[0])
    assert torch.isnan(input_scores(reading, [silent], tokens)[0])
    text = marked(reading.tokens, int(places[0]))
    assert text.count("⟦") == text.count("⟧") == 1
    assert f"⟦{reading.tokens.pieces[int(places[0])]}⟧" in text
