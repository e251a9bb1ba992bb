"""Draws: their distribution against the exact one, their randomness by seed and step, what they share between rows."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from steering.passes import sampling
from steering.passes.replies import DecodeSettings
from steering.passes.sampling import choose


DRAWS = 8_000


def exact(logits: torch.Tensor, temperature: float, top_p: float) -> np.ndarray:
    """The distribution by its definition: softmax, a stable sort, the shortest beginning with `top_p`, in float64."""
    scaled = logits.double().numpy() / temperature
    chances = np.exp(scaled - scaled.max())
    chances /= chances.sum()
    order = np.argsort(-chances, kind="stable")
    n = int(np.searchsorted(np.cumsum(chances[order]), top_p * (1 - 1e-9))) + 1
    nucleus = np.zeros_like(chances)
    nucleus[order[:n]] = chances[order[:n]]
    return nucleus / nucleus.sum()


def draws(logits: torch.Tensor, *, n: int = DRAWS, step: int = 0, **settings: float) -> list[int]:
    each = [DecodeSettings(seed=seed, **settings) for seed in range(n)]
    return choose(logits.expand(n, -1), each, [step] * n)


def p_value(found: list[int], expected: np.ndarray) -> float:
    """Chi-square, tokens that are expected fewer than five times counted as one."""
    counts = np.bincount(found, minlength=len(expected)).astype(float)
    wanted = expected * len(found)
    rare = wanted < 5
    counts, wanted = np.append(counts[~rare], counts[rare].sum()), np.append(wanted[~rare], wanted[rare].sum())
    assert counts[wanted == 0].sum() == 0, "a token outside the nucleus was drawn"
    return float(chisquare(counts[wanted > 0], wanted[wanted > 0]).pvalue)


CUTS = [(1.0, 1.0), (0.7, 1.0), (2.5, 1.0), (1.0, 0.9), (0.7, 0.5), (1.5, 0.99), (2.0, 0.3), (2.5, 0.1)]
"""Temperatures and nuclei."""
LOGITS = torch.randn(201, generator=torch.Generator().manual_seed(1)) * 2


@pytest.fixture(scope="module")
def drawn() -> dict[tuple[float, float], list[int]]:
    """Tokens by temperature and nucleus, all at once: a seed draws alike whatever is beside it."""
    rows = [DecodeSettings(seed=seed, temperature=t, top_p=p) for t, p in CUTS for seed in range(DRAWS)]
    tokens = choose(LOGITS.expand(len(rows), -1), rows, [0] * len(rows))
    return {cut: tokens[place * DRAWS : (place + 1) * DRAWS] for place, cut in enumerate(CUTS)}


@pytest.mark.parametrize(("temperature", "top_p"), CUTS)
def test_draws_have_the_exact_distribution(drawn, temperature: float, top_p: float) -> None:
    """Of 8,000 draws, fixed by their seeds; a right sampler falls below 0.001 once in a thousand such tests."""
    logits, found = LOGITS, drawn[temperature, top_p]
    assert p_value(found, exact(logits, temperature, top_p)) > 1e-3
    # The test can fail: a temperature that is a fifth off, or a nucleus without its last tokens.
    assert p_value(found, exact(logits, temperature * 1.2, 1.0)) < 1e-6


@pytest.mark.parametrize("guess", ["the likeliest", "a few", "none"])
def test_a_bad_guess_of_where_the_nucleus_ends_changes_no_distribution(monkeypatch, guess) -> None:
    """Too high a guess would cut the nucleus, too low a one would leave too much in."""
    guesses = {
        "the likeliest": lambda weights, allowed: weights.flatten(start_dim=1).amax(dim=-1),
        "a few": lambda weights, allowed: weights.flatten(start_dim=1).topk(12).values[:, -1],
        "none": lambda weights, allowed: torch.zeros_like(allowed),
    }
    monkeypatch.setattr(sampling, "_guessed_end", guesses[guess])
    logits = torch.randn(201, generator=torch.Generator().manual_seed(4))
    assert (exact(logits, 1.0, 0.4) > 0).sum() > 12, "a guess that is believed would draw too few tokens"
    assert p_value(draws(logits, temperature=1.0, top_p=0.4), exact(logits, 1.0, 0.4)) > 1e-3


def test_equally_likely_tokens_are_cut_by_their_place_in_the_vocabulary() -> None:
    """Half-precision logits are often equal; the nucleus is still the shortest one."""
    logits = torch.zeros(10)
    found = draws(logits, n=4000, temperature=1.0, top_p=0.35)
    assert set(found) == {0, 1, 2, 3}
    assert p_value(found, exact(logits, 1.0, 0.35)) > 1e-3


@pytest.mark.parametrize("vocabulary", [1, 2, 3, 7, 48, 50, 151_936])
def test_every_token_of_any_vocabulary_can_be_drawn_and_none_behind_it(vocabulary: int) -> None:
    logits = torch.full((vocabulary,), -30.0)
    for token in {0, vocabulary // 2, vocabulary - 1}:
        logits[token] = 30.0
        assert draws(logits, n=3, temperature=1.0) == [token] * 3
        assert draws(logits, n=3, temperature=1.0, top_p=0.9) == [token] * 3
        logits[token] = -30.0
    assert max(draws(torch.zeros(vocabulary), n=20, temperature=1.0)) < vocabulary


@pytest.mark.parametrize("top_p", [1.0, 0.3])
def test_a_draw_depends_on_seed_step_and_logits_alone(top_p: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 3000, generator=generator)
    settings = [DecodeSettings(temperature=1.0, top_p=top_p, seed=seed % 7) for seed in range(64)]
    settings[5] = DecodeSettings()
    settings[6] = DecodeSettings(temperature=0.5, top_p=0.95, seed=3)
    settings[7] = DecodeSettings(temperature=1.0, top_p=0.05, seed=3)
    steps = [row % 5 for row in range(64)]
    together = choose(logits, settings, steps)
    alone = [choose(logits[row : row + 1], [settings[row]], [steps[row]])[0] for row in range(64)]
    assert together == alone
    assert together[5] == int(logits[5].argmax())
    order = torch.randperm(64, generator=generator).tolist()
    assert choose(logits[order], [settings[i] for i in order], [steps[i] for i in order]) == [alone[i] for i in order]


def test_seeds_and_steps_draw_independently() -> None:
    logits = torch.zeros(100)
    at = [draws(logits, n=4000, step=step, temperature=1.0) for step in (0, 1)]
    for first, second in [(at[0], at[1]), (at[0][:-1], at[0][1:])]:
        # Of 4,000 pairs of independent draws from 100 equal tokens 40 agree, give or take 6.3; five times that may be.
        assert 8 <= sum(a == b for a, b in zip(first, second, strict=True)) <= 72


def test_rows_of_one_seed_differ_only_as_far_as_their_distributions_do() -> None:
    """Two rows a little apart, as a weak plan leaves them, draw the same token far more often than by chance.

    A race keeps them together with at least (1 - d) / (1 + d), d the total variation between them; two races, one in
    the other, with at least the square.
    """
    generator = torch.Generator().manual_seed(3)
    base = torch.randn(2000, generator=generator)
    moved = base + 0.05 * torch.randn(2000, generator=generator)
    apart = (exact(base, 1, 1) - exact(moved, 1, 1)).clip(min=0).sum()
    assert 0.01 < apart < 0.03
    settings = [DecodeSettings(temperature=1.0, seed=seed) for seed in range(3000) for _ in range(2)]
    found = np.array(choose(torch.stack([base, moved]).repeat(3000, 1), settings, [0] * 6000)).reshape(-1, 2)
    same = (found[:, 0] == found[:, 1]).mean()
    assert same >= ((1 - apart) / (1 + apart)) ** 2 - 0.01  # a standard error is below 0.005
    assert (found[:-1, 0] == found[1:, 1]).mean() < 0.01, "other seeds agree by chance alone"


def test_extreme_settings_draw_the_likeliest() -> None:
    logits = torch.randn(500, generator=torch.Generator().manual_seed(2)) * 1e4
    best = int(logits.argmax())
    for settings in ({"temperature": 1e-45}, {"temperature": 1e-6}, {"temperature": 5.0, "top_p": 1e-12}):
        assert draws(logits, n=20, **settings) == [best] * 20
    assert draws(torch.zeros(151_936), n=2, temperature=1.0, top_p=1e-9) == [0, 0], "found in a few draws, not 150,000"
