"""Dictionaries that read a normed state before the norm's learnt weight, on a model whose norm has one.

So do the transcoders of Gemma Scope on Gemma 2 (`ln2.hook_normalized`). What is read in a model is what enters the MLP,
n g + c, with n the normalised state; a dictionary brought to that model takes c off and divides by g first.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.model.host import Host
from steering.model.mlp_norm import affine_before_mlp


def on_model(dictionary: Dictionary, host: Host) -> Dictionary:
    """The dictionary as it reads a model's states; itself where it reads them as they are.

    Args:
        dictionary: With weights that both share.
        host: The model.

    Raises:
        SteeringError: It reads a state before a norm's weight, and the model's norm cannot be told.
    """
    if not dictionary.before_weight:
        return dictionary
    return replace(dictionary, norm=affine_before_mlp(host, dictionary.reads[0]))


def as_if_here(dictionary: Dictionary, host: Host, block: int, states: Tensor) -> Tensor:
    """What enters another block's MLP as if it had gone through the norm of the dictionary's own block.

    So that a dictionary of normed states before the weight reads there what it would read if it belonged there.

    Args:
        dictionary: Brought to the model.
        host: The model.
        block: Whose states they are.
        states: (token, width).
    """
    if dictionary.norm is None or block == dictionary.reads[0]:
        return states
    (factor, addend), (own_factor, own_addend) = affine_before_mlp(host, block), dictionary.norm
    factor, addend, own_factor, own_addend = (
        each.to(states.device) for each in (factor, addend, own_factor, own_addend)
    )
    return (states.float() - addend) / factor * own_factor + own_addend
