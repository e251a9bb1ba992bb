"""Each operation's formula against float64 arithmetic written out here."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.writes.operations import Ablate, Add, Affine, Clamp, Erase, Operation, Rotate


WIDTH = 16


@pytest.fixture
def states() -> torch.Tensor:
    return torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(0))


def _unit(seed: int) -> torch.Tensor:
    u = torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (u / u.norm()).float()


@pytest.fixture
def direction() -> torch.Tensor:
    return _unit(1)


def _eraser() -> Erase:
    generator = torch.Generator().manual_seed(5)
    return Erase(*(torch.randn(shape, generator=generator) for shape in ((WIDTH, 2), (2, WIDTH), (WIDTH,))))


ALL: dict[str, Callable[[torch.Tensor], Operation]] = {
    "add": lambda u: Add(u, 1.5),
    "ablate": lambda u: Ablate(u, 0.7),
    "ablate several": lambda u: Ablate(torch.stack([u, _unit(2), _unit(3)])),
    "affine": lambda u: Affine(u, -0.4, 1.2),
    "clamp": lambda u: Clamp(u, 0.3),
    "rotate": lambda u: Rotate(u, 20.0),
    "erase": lambda u: _eraser(),
}


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


def test_ablate_of_several_directions_empties_their_span(states) -> None:
    """Least squares on the raw directions, which are not at right angles, and one of which adds nothing."""
    rows = torch.stack([_unit(1), _unit(2), 0.6 * _unit(1) - 2 * _unit(2)])
    assert abs(float(rows[0] @ rows[1])) > 0.01
    x, a = states.reshape(-1, WIDTH).numpy().astype(np.float64), rows[:2].numpy().astype(np.float64)
    coefficients, *_ = np.linalg.lstsq(a.T, x.T, rcond=None)
    assert np.abs(x @ a.T).min() > 1e-3
    after = Ablate(rows)(states).reshape(-1, WIDTH).numpy().astype(np.float64)
    np.testing.assert_allclose(after, x - (a.T @ coefficients).T, atol=1e-5)
    np.testing.assert_allclose(after @ rows.numpy().astype(np.float64).T, 0, atol=1e-5)
    # One after the other would not: the second leaves some of the first behind.
    one_by_one = Ablate(rows[1])(Ablate(rows[0])(states))
    assert (one_by_one @ rows[0]).abs().max() > 1e-3


def test_affine_sets_the_projection_from_the_reference(states, direction) -> None:
    x, u = states.numpy().astype(np.float64), direction.numpy().astype(np.float64)
    m = np.random.default_rng(0).normal(size=WIDTH)
    expected = x - (x @ u)[..., None] * u + (u @ m) * u + 0.8 * u
    after = Affine(direction, float(u @ m), 0.8)(states).numpy()
    np.testing.assert_allclose(after, expected, atol=1e-5)
    assert np.ptp(x @ u) > 0.5  # they differed
    np.testing.assert_allclose(after.astype(np.float64) @ u, u @ m + 0.8, atol=1e-5)


CLAMPS = {
    "set": lambda p: 0 * p + 0.2,
    "floor": lambda p: np.maximum(p, 0.2),
    "ceil": lambda p: np.minimum(p, 0.2),
}


@pytest.mark.parametrize("kind", CLAMPS)
def test_clamp_changes_the_projection_alone(kind, states, direction) -> None:
    x, u = states.numpy().astype(np.float64), direction.numpy().astype(np.float64)
    along = x @ u
    assert (along > 0.2).any()
    assert (along < 0.2).any()
    after = Clamp(direction, 0.2, kind)(states).numpy().astype(np.float64)
    np.testing.assert_allclose(after @ u, CLAMPS[kind](along), atol=1e-6)
    np.testing.assert_allclose(after - (after @ u)[..., None] * u, x - along[..., None] * u, atol=1e-6)


@pytest.mark.parametrize("degrees", [25.0, -40.0, 170.0])
def test_rotate_turns_by_the_angle_in_the_plane_and_keeps_the_norm(degrees, states, direction) -> None:
    x, u = states.reshape(-1, WIDTH).numpy().astype(np.float64), direction.numpy().astype(np.float64)
    after = Rotate(direction, degrees)(states).reshape(-1, WIDTH).numpy().astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), np.linalg.norm(x, axis=1), rtol=1e-5)

    def angle(rows: np.ndarray) -> np.ndarray:
        return np.degrees(np.arccos(np.clip(rows @ u / np.linalg.norm(rows, axis=1), -1, 1)))

    # It stops at u and at -u; arccos of float32 numbers near 1 is good to 0.05 degrees.
    np.testing.assert_allclose(angle(after), np.clip(angle(x) - degrees, 0, 180), atol=0.05)
    for row, turned in zip(x, after, strict=True):
        plane = np.linalg.qr(np.stack([u, row], axis=1))[0]
        np.testing.assert_allclose(plane @ (plane.T @ turned), turned, atol=1e-5)
        assert (turned - (turned @ u) * u) @ row > -1e-6  # on the same side of u as before


def test_rotate_leaves_what_lies_on_the_line_of_u(direction) -> None:
    line = torch.stack([3 * direction, -2 * direction, torch.zeros(WIDTH)])
    after = Rotate(direction, 30.0)(line)
    assert torch.isfinite(after).all()
    torch.testing.assert_close(after, line)


def test_erase_is_its_affine_map(states) -> None:
    eraser = _eraser()
    x, (left, right, mean) = (
        states.numpy().astype(np.float64),
        (part.numpy().astype(np.float64) for part in (eraser.left, eraser.right, eraser.mean)),
    )
    expected = x - np.einsum("wr,rv,btv->btw", left, right, x - mean)
    np.testing.assert_allclose(eraser(states).numpy(), expected, atol=2e-4)  # sums of 32 products up to 100


@pytest.mark.parametrize("name", ALL)
def test_operations_leave_their_input_alone_and_change_it(name, states, direction) -> None:
    copy = states.clone()
    after = ALL[name](direction)(states)
    assert torch.equal(states, copy)
    assert after.shape == states.shape
    assert (after - states).abs().max() > 0.05


@pytest.mark.parametrize("name", ALL)
def test_what_happens_at_a_position_depends_on_it_alone(name, states, direction) -> None:
    operation = ALL[name](direction)
    one_by_one = torch.stack([operation(state) for state in states.reshape(-1, WIDTH)])
    torch.testing.assert_close(operation(states).reshape(-1, WIDTH), one_by_one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_moving_keeps_the_operation(name, states, direction) -> None:
    operation = ALL[name](direction)
    assert operation.width == WIDTH
    assert operation.device == torch.device("cpu")
    assert torch.equal(operation.to(torch.device("cpu"))(states), operation(states))
    assert operation.to(torch.device("meta")).device.type == "meta"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_strength_that_is_not_finite_is_refused(bad, direction) -> None:
    with pytest.raises(SteeringError, match="a finite number"):
        Add(direction, bad)
    for operation in (Ablate, Rotate, Clamp):
        with pytest.raises(SteeringError, match="a finite number"):
            operation(direction, bad)
    with pytest.raises(SteeringError, match="a finite number"):
        Affine(direction, bad, 1.0)


def test_what_cannot_be_meant_is_refused(direction) -> None:
    with pytest.raises(SteeringError, match="from 0 to 1"):
        Ablate(direction, 1.5)
    with pytest.raises(SteeringError, match="norm 2"):
        Add(2 * direction, 1.0)
    with pytest.raises(SteeringError, match="finite unit vector"):
        Add(direction * math.nan, 1.0)
    with pytest.raises(SteeringError, match="one of set, floor, ceil"):
        Clamp(direction, 1.0, "cap")  # type: ignore[arg-type]
    with pytest.raises(SteeringError, match="finite rows that are not zero"):
        Ablate(torch.stack([direction, 0 * direction]))
    with pytest.raises(SteeringError, match="An eraser with maps"):
        Erase(torch.zeros(WIDTH, 2), torch.zeros(3, WIDTH), torch.zeros(WIDTH))
    with pytest.raises(SteeringError, match="not finite"):
        Erase(torch.full((WIDTH, 1), math.nan), torch.zeros(1, WIDTH), torch.zeros(WIDTH))
