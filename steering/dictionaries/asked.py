"""What is asked of a dictionary and cannot be: states of another width or back, features that it does not have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from steering.errors import SteeringError


def check_given(name: str, why_not: str) -> None:
    """
    Args:
        name: The dictionary's.
        why_not: Why its own features do not give a state back; "" where they do.

    Raises:
        SteeringError: They do not.
    """
    if why_not:
        raise SteeringError(
            f"'{name}' was to give a state back. {why_not}",
            "a dictionary whose features give a whole state.",
            "The features of all blocks together give it: `dictionary.layers.given`.",
        )


def check_states(name: str, states: Tensor, width: int, *, texts: bool) -> None:
    """Look at the shape of states before they are encoded.

    Args:
        name: The dictionary's.
        states: (..., width).
        width: What it reads.
        texts: Whether it wants the tokens of each text together, as a temporal one does.

    Raises:
        SteeringError: Another width, or tokens without their texts.
    """
    if states.shape[-1] != width:
        raise SteeringError(
            f"States of width {states.shape[-1]} were given to the dictionary '{name}'.",
            f"width {width}, which it reads.",
            "Load the model that it was trained on, or choose another dictionary.",
        )
    if texts and states.ndim != 3:
        raise SteeringError(
            f"Tokens were given to '{name}' without their texts, in a tensor of {states.ndim} axes.",
            "texts, tokens and width: what a temporal dictionary finds at a token depends on those before.",
            "Give the states of one text at a time.",
        )


def numbers_of(name: str, features: Sequence[int] | Tensor, n_features: int) -> Tensor:
    """Features by number, as a tensor where they are.

    Args:
        name: The dictionary's.
        features: Which.
        n_features: How many it has.

    Raises:
        SteeringError: One that it does not have.
    """
    index = torch.as_tensor(features, dtype=torch.long)  # looked at where it is: no device is waited for
    if index.numel() and (int(index.min()) < 0 or int(index.max()) >= n_features):
        wrong = index[(index < 0) | (index >= n_features)]
        raise SteeringError(
            f"Feature {int(wrong[0])} of '{name}' was asked for.",
            f"a number from 0 to {n_features - 1}.",
            "Features are counted from 0; choose one of them.",
        )
    return index
