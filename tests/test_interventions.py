"""Each operation's formula against float64 arithmetic written out here."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.interventions import Ablate, Add, Write, scope_mask


@pytest.fixture
def states() -> torch.Tensor:
    return torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def direction() -> torch.Tensor:
    u = torch.randn(16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (u / u.norm()).float()


def test_add_moves_every_state_by_strength_along_the_direction(states, direction) -> None:
    u = direction.numpy().astype(np.float64)
    expected = states.numpy().astype(np.float64) + 2.5 * u
    np.testing.assert_allclose(Add(direction, 2.5)(states).numpy(), expected, atol=1e-6)  # float32 of values near 1


def test_ablate_removes_the_projection_and_nothing_else(states, direction) -> None:
    x, u = states.numpy().astype(np.float64), direction.numpy().astype(np.float64)
    before = x @ u
    assert np.abs(before).min() > 0.01  # there was a projection
    after = Ablate(direction)(states).numpy().astype(np.float64)
    np.testing.assert_allclose(after @ u, 0, atol=1e-6)
    np.testing.assert_allclose(after, x - before[..., None] * u, atol=1e-6)
    half = Ablate(direction, 0.5)(states).numpy().astype(np.float64)
    np.testing.assert_allclose(half @ u, before / 2, atol=1e-6)


@pytest.mark.parametrize("operation", [Add, Ablate])
def test_operations_leave_their_input_alone(operation, states, direction) -> None:
    copy = states.clone()
    operation(direction, 1.0)(states)
    assert torch.equal(states, copy)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_strength_that_is_not_finite_is_refused(bad, direction) -> None:
    with pytest.raises(SteeringError, match="a finite number"):
        Add(direction, bad)
    with pytest.raises(SteeringError, match="a finite number"):
        Ablate(direction, bad)


def test_an_ablation_outside_its_range_a_long_direction_and_an_unknown_scope_are_refused(direction) -> None:
    with pytest.raises(SteeringError, match="from 0 to 1"):
        Ablate(direction, 1.5)
    with pytest.raises(SteeringError, match="norm 2"):
        Add(2 * direction, 1.0)
    with pytest.raises(SteeringError, match="finite unit vector"):
        Add(direction * math.nan, 1.0)
    with pytest.raises(SteeringError, match="one of all"):
        Write(Add(direction, 1.0), 0, "block_output", "middle")


def test_scopes_cover_the_tokens_they_name_and_never_padding() -> None:
    real = torch.tensor([[False, False, True, True], [True, True, True, True]])
    last = torch.tensor([[False, False, False, True], [False, False, False, True]])
    assert torch.equal(scope_mask("all", real, last), real)
    assert torch.equal(scope_mask("prompt", real, last), real)
    assert torch.equal(scope_mask("last", real, last), last)
    assert torch.equal(scope_mask("reply", real, last), last)
    assert not scope_mask("generated", real, last).any()
