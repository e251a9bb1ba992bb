"""What the norm before a block's MLP does behind normalising: the weight and bias that it learnt.

TransformerLens' `ln2.hook_normalized` is the state between the two, which no module of Hugging Face gives. Norms write
their weight in several ways (Gemma's multiplies by one more than it), so it is not read but found: the norm is tried on
states, and held against n g + c with n the normalised state, of either kind of norm.
"""

from __future__ import annotations

from copy import deepcopy
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from steering.errors import SteeringError
from steering.model.host import Host


_STATES = 64
"""States that a norm is tried on."""
_LONG = 30.0
"""Their size, beside which a norm's epsilon is nothing."""
_OFF = 1e-4
"""By how much of its own length a norm may differ from n g + c, in float32."""
Affine = tuple[Tensor, Tensor]
"""Factor g and addend c, (width,) each, float32."""
_KNOWN: WeakKeyDictionary[Host, dict[int, Affine]] = WeakKeyDictionary()


def affine_before_mlp(host: Host, block: int) -> Affine:
    """What the norm before an MLP multiplies the normalised state by, and what it adds to that.

    Args:
        host: The model.
        block: Which, from 0.

    Raises:
        SteeringError: No norm gives what enters that MLP, one of another kind, or one that leaves nothing of a
            dimension.
    """
    base = host.base  # other chat settings are the same weights
    known = _KNOWN.setdefault(base, {})
    if block not in known:
        found = base.run(lambda job: _found(base, block), title="Looking at a norm")
        if found is None or not bool((found[0].abs() > 1e-6).all()):
            raise SteeringError(
                f"Block {block} of {host.name} has no norm before its MLP whose weight can be told.",
                "a model whose MLP reads a normalised state times a weight (RMSNorm, LayerNorm), none of it 0.",
                "Use a dictionary that reads what enters the MLP, or another site.",
            )
        known[block] = found
    return known[block]


def _found(host: Host, block: int) -> Affine | None:
    path = host.sites.blocks[block].mlp_norm
    if not path:
        return None
    norm = host.model._module.get_submodule(f"{host.sites.blocks_path}.{block}.{path}")
    try:
        norm = deepcopy(norm).float().cpu()
    except (NotImplementedError, RuntimeError):  # weights that lie nowhere, or cannot be copied
        return None
    return _told_apart(norm, host.info.width)


@torch.no_grad()
def _told_apart(norm: nn.Module, width: int) -> Affine | None:
    """The factor and addend of a norm of either kind; None where it does something else."""
    states = _LONG * torch.randn(_STATES, width, generator=torch.Generator().manual_seed(0))
    try:
        given = norm(states)
    except (RuntimeError, TypeError, ValueError):  # something that takes more than a state
        return None
    if not isinstance(given, Tensor) or given.shape != states.shape:
        return None
    for middle in (0.0, states.mean(dim=-1, keepdim=True)):
        centred = states - middle
        normal = centred / centred.square().mean(dim=-1, keepdim=True).sqrt()
        factor, addend = _line(normal, given)
        if (normal * factor + addend - given).norm() <= _OFF * given.norm():
            return factor, addend
    return None


def _line(x: Tensor, y: Tensor) -> Affine:
    """Least squares y ≈ x g + c, each dimension by itself: (width,) each."""
    apart = x - x.mean(dim=0)
    factor = (apart * y).sum(dim=0) / apart.square().sum(dim=0)
    return factor, y.mean(dim=0) - factor * x.mean(dim=0)
