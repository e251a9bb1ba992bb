"""What is told of a vector: its stability, its accuracy, the tokens it points to, its cosines with others."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from panels.vectors.markup import blocks_html, cosines_html
from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.extraction.extract import extract, extract_methods
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.texts.contrast import ContrastSet
from steering.vectors.card import LAST_BLOCK, compare, nearest_tokens
from steering.vectors.gguf import load_gguf
from steering.vectors.vector import SteeringVector
from workbench.cli.commands import export_vector, import_note


ALONE = ("leace", "mean_difference", "unrelated")
"""Methods that a test extracts together, and that are held to the same with states of their own."""


@pytest.fixture(scope="module")
def vectors(demo) -> dict[str, SteeringVector]:
    formality = ContrastSet.load("formality")
    own = {name: extract(demo, formality, method=name) for name in ALONE}
    found = own | extract_methods(demo, formality, [name for name in METHODS if name not in ALONE])
    return {name: replace(found[name], name=name) for name in METHODS}


def test_accuracy_is_that_of_the_training_middle_on_held_out_prompts(demo, vectors) -> None:
    formality, vector = ContrastSet.load("formality"), vectors["mean_difference"]

    @cache
    def states(side: str, split: str) -> np.ndarray:
        prompts = [render(demo, each.messages) for each in formality.side(side, split)]
        return read_states(demo, prompts).double().numpy()

    for block in range(demo.info.blocks):
        means = [states(side, "train")[:, block].mean(axis=0) for side in ("positive", "negative")]
        u = (means[0] - means[1]) / np.linalg.norm(means[0] - means[1])
        middle = u @ (means[0] + means[1]) / 2
        right = [
            np.mean(sign * (states(side, "validation")[:, block] @ u - middle) > 0)
            for side, sign in (("positive", 1), ("negative", -1))
        ]
        assert float(vector.accuracy[block]) == pytest.approx(np.mean(right))
    assert float(vector.accuracy[vector.default_block]) > 0.95


def test_accuracy_has_an_interval_around_it(vectors) -> None:
    vector = vectors["random"]
    assert bool((vector.accuracy_low <= vector.accuracy).all())
    assert bool((vector.accuracy <= vector.accuracy_high).all())
    assert float((vector.accuracy_high - vector.accuracy_low).max()) > 0.05


def test_methods_on_states_read_once_are_those_on_their_own(demo, vectors) -> None:
    together = extract_methods(demo, ContrastSet.load("formality"), ALONE)
    for name, vector in together.items():
        assert torch.equal(vector.directions, vectors[name].directions), name
        assert torch.equal(vector.auroc, vectors[name].auroc), name
    bare = extract(demo, ContrastSet.load("formality"), split_half=False)
    assert bare.split_half is None
    assert torch.equal(bare.directions, vectors["mean_difference"].directions)


def test_an_unrelated_direction_is_another_sets_with_this_sets_scale(demo, vectors) -> None:
    vector, own = vectors["unrelated"], extract(demo, ContrastSet.load("time-of-day"))
    torch.testing.assert_close(vector.directions, own.directions)
    assert vector.provenance.settings["texts"] == "time-of-day"
    assert vector.provenance.contrast == "formality"
    torch.testing.assert_close(vector.residual_norms, vectors["mean_difference"].residual_norms)
    block = vector.default_block
    assert float(own.auroc[own.default_block]) > 0.9  # it does separate its own set
    assert abs(float(vector.directions[block] @ vectors["mean_difference"].directions[block])) < 0.5


def test_the_page_tells_what_pca_explains(vectors) -> None:
    vector = vectors["pairwise_pca"]
    share = f"{100 * float(vector.explained[vector.default_block]):.0f} %"
    assert share in blocks_html(vector)
    assert ">explained<" in blocks_html(vector)
    assert "explained" not in blocks_html(vectors["mean_difference"])


def test_split_half_is_high_for_methods_and_low_for_controls(demo, vectors) -> None:
    block = vectors["mean_difference"].default_block
    stable = {name: float(vector.split_half[block]) for name, vector in vectors.items()}
    for name in ("mean_difference", "projected_difference", "pairwise_pca"):
        assert stable[name] > 0.9, stable
    for name in ("random", "shuffled"):
        assert abs(stable[name]) < 0.5, stable  # width 192: a standard deviation of 0.07 at random


def test_split_half_is_the_cosine_of_two_separate_extractions(demo) -> None:
    whole = ContrastSet.load("formality")
    train = [whole.side(side, "train") for side in ("positive", "negative")]
    halves = []
    for parity in (0, 1):
        states = [
            read_states(demo, [render(demo, each.messages) for each in side[parity::2]]).double().mean(dim=0)
            for side in train
        ]
        halves.append(torch.nn.functional.normalize(states[0] - states[1], dim=-1))
    expected = (halves[0] * halves[1]).sum(dim=-1)
    torch.testing.assert_close(extract(demo, whole).split_half.double(), expected, rtol=1e-4, atol=1e-5)


def test_too_few_prompts_for_halves_leave_it_out(tiny_host) -> None:
    few = ContrastSet.of([f"good day {i}" for i in range(5)], [f"bad day {i}" for i in range(5)])
    assert few.counts["train"] == (3, 3)
    assert extract(tiny_host("llama"), few).split_half is None


def test_methods_agree_as_they_should_on_the_demo_model(vectors) -> None:
    """Pairwise PCA finds the mean difference; centred PCA need not; controls do not."""
    block = vectors["mean_difference"].default_block
    table = compare(vectors.values(), block=block)
    assert list(table.index) == list(table.columns) == list(METHODS)
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)
    np.testing.assert_allclose(table, table.T, atol=1e-6)  # float32: the sums of the two halves differ in order
    cosines = table["mean_difference"]
    assert cosines["pairwise_pca"] >= 0.9
    assert cosines["logistic"] > 0.5
    assert abs(cosines["random"]) < 0.3


@pytest.mark.parametrize("contrast", ["sentiment", "formality", "harm"])
def test_sentiment_formality_and_refusal_are_recovered(demo, contrast) -> None:
    methods = ["mean_difference", "logistic"]
    for vector in extract_methods(demo, ContrastSet.load(contrast), methods, split_half=False).values():
        assert vector.best_auroc >= 0.95, vector.provenance.method


def test_controls_sit_at_chance(demo) -> None:
    """The mean over draws: one random direction may lean on whatever varies most, to either side."""
    formality, methods = ContrastSet.load("formality"), ["random", "shuffled"]
    drawn = [extract_methods(demo, formality, methods, seed=seed, split_half=False) for seed in range(12)]
    for method in methods:
        # AUROCs spread between 0 and 1, with a standard deviation of at most 0.5 over 12 draws: 0.15 a block.
        assert np.mean([each[method].auroc.numpy() for each in drawn]) == pytest.approx(0.5, abs=0.15), method


def test_nearest_tokens_are_the_largest_cosines_with_the_unembedding(demo, vectors) -> None:
    vector = vectors["mean_difference"]
    rows = demo.model._module.get_output_embeddings().weight.detach().double().numpy()
    u = vector.directions[3].double().numpy()
    cosines = rows @ u / np.linalg.norm(rows, axis=1)
    found = nearest_tokens(demo, vector, block=3, n=5)
    order = np.argsort(cosines)
    assert [token for token, _ in found.most] == [demo.tokenizer.decode([i]) for i in order[::-1][:5]]
    np.testing.assert_allclose([c for _, c in found.least], cosines[order[:5]], atol=1e-5)
    with pytest.raises(SteeringError, match="a block from 0 to"):
        nearest_tokens(demo, vector, block=99)


def test_vectors_of_another_shape_are_left_out_of_a_comparison(vectors) -> None:
    first = vectors["mean_difference"]
    narrow = replace(
        first, name="narrow", directions=torch.nn.functional.normalize(first.directions[:, :8], dim=-1), eraser=None
    )
    assert list(compare([first, narrow], block=2)) == ["mean_difference"]
    assert compare([], block=2).empty


def test_the_last_block_before_the_final_norm_is_said_where_it_is_exported_imported_and_compared(
    vectors, tmp_path
) -> None:
    vector = vectors["mean_difference"]
    last = vector.n_blocks - 1
    path = tmp_path / "tone.gguf"
    assert LAST_BLOCK in export_vector(vector, path, at="", strength=1, unit="mean_difference")
    assert import_note(load_gguf(path)) == LAST_BLOCK
    assert LAST_BLOCK not in export_vector(vector, path, at="1-2", strength=1, unit="mean_difference")
    assert import_note(load_gguf(path, blocks=vector.n_blocks)) == ""
    assert import_note(vector) == ""
    assert "final norm" in cosines_html({"tone": vector}, last)
    assert "final norm" not in cosines_html({"tone": vector}, last - 1)


def test_cosines_of_every_method_have_columns_as_wide_as_a_number(vectors) -> None:
    shown = cosines_html(vectors, 3)
    square = compare(vectors.values(), block=3)
    assert len(square) == len(METHODS)
    for number, name in enumerate(square.columns, 1):
        assert f">{number}</th>" in shown
        assert f"{number} {name}" in shown
        assert f">{name}</th>" not in shown
