"""Which tokens a scope covers, and what a write refuses."""

from __future__ import annotations

import pytest
import torch

from steering.errors import SteeringError
from steering.writes.interventions import Gate, Write, covered, scope_mask
from steering.writes.operations import Add


U = torch.eye(4)[0]


def test_scopes_cover_the_tokens_they_name_and_never_padding() -> None:
    real = torch.tensor([[False, False, True, True, True], [True, True, True, True, True]])
    last = torch.tensor([3, 3])  # the token at 4 belongs to the reply
    expected = {
        "all": [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]],
        "prompt": [[0, 0, 1, 1, 0], [1, 1, 1, 1, 0]],
        "last": [[0, 0, 0, 1, 0], [0, 0, 0, 1, 0]],
        "reply": [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1]],
        "generated": [[0, 0, 0, 0, 1], [0, 0, 0, 0, 1]],
        (0,): [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]],
        (1, 3): [[0, 0, 0, 1, 0], [0, 1, 0, 1, 0]],
    }
    for scope, mask in expected.items():
        assert scope_mask(scope, real, last).int().tolist() == mask, scope  # type: ignore[arg-type]


def test_covered_joins_scopes() -> None:
    assert covered(["last", (0,)], 3) == [True, False, True]
    assert covered(["generated"], 3) == [False] * 3
    assert covered([], 2) == [False] * 2
    assert covered(["all"], 2) == [True] * 2


@pytest.mark.parametrize("scope", ["middle", (), (-1,), (0.5,)])
def test_an_unknown_scope_is_refused(scope) -> None:
    with pytest.raises(SteeringError, match=r"one of all|counted from the prompt's first token"):
        Write(Add(U, 1.0), 0, "block_output", scope)


def test_a_gate_behind_what_it_gates_is_refused() -> None:
    late = Gate(U, 0.0, 2, "block_output")
    for block, site in ((2, "block_input"), (2, "mlp_output"), (1, "block_output")):
        with pytest.raises(SteeringError, match="Read the gate at an earlier block"):
            Write(Add(U, 1.0), block, site, "all", late)
    Write(Add(U, 1.0), 2, "block_output", "all", late)  # read before it is written
    Write(Add(U, 1.0), 0, "block_input", "generated", late)  # decided on the prompt, before the first generated token
    with pytest.raises(SteeringError, match="Read the gate"):
        Write(Add(U, 1.0), 0, "block_input", "generated", Gate(U, 0.0, 2, "block_output", per="token"))


def test_a_gate_of_an_unknown_kind_or_threshold_is_refused() -> None:
    with pytest.raises(SteeringError, match="one of above, below"):
        Gate(U, 0.0, 0, "block_output", side="beside")  # type: ignore[arg-type]
    with pytest.raises(SteeringError, match="one of prompt, token"):
        Gate(U, 0.0, 0, "block_output", per="word")  # type: ignore[arg-type]
    with pytest.raises(SteeringError, match="a finite number"):
        Gate(U, float("nan"), 0, "block_output")
    with pytest.raises(SteeringError, match="norm 2"):
        Gate(2 * U, 0.0, 0, "block_output")
