"""How fast states become active features, beside sae-lens' own loop over the same pieces.

Random weights, with thresholds and biases at which some 50 features are active a token. sae-lens' loop encodes pieces
of as many tokens densely and, as anybody must who keeps them, takes what is not 0; beside it stands encoding alone,
with nothing kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bench.harness.pairs import clocked, paired
from bench.harness.row import Aim, BenchRow
from steering.dictionaries.dictionary import PIECE, Dictionary


SECTION = "Features of a dictionary"
WIDTH, TOKENS, ACTIVE = 256, 512, 50
FEATURES = (16_384, 65_536)
WHY = "The product of states and encoder is most of the time where nothing is kept, and it is the same on both sides."
KINDS = ("topk", "jumprelu", "standard", "gated", "jumprelu_transcoder")


def build(kind: str, features: int) -> Dictionary:
    """A dictionary of random weights of which some `ACTIVE` features are active at a random state."""
    from sae_lens.registry import get_sae_class

    sae_class, config_class = get_sae_class(kind)
    more: dict[str, Any] = {"k": ACTIVE} if kind == "topk" else {}
    more |= {"d_out": WIDTH, "apply_b_dec_to_input": False} if "transcoder" in kind else {}
    sae = sae_class(config_class(d_in=WIDTH, d_sae=features, **more)).eval().requires_grad_(False)
    # Pre-activations of unit states are of unit spread; so many lie above the quantile of ACTIVE in all.
    edge = float(torch.distributions.Normal(0, 1).icdf(torch.tensor(1 - ACTIVE / features)))
    torch.manual_seed(0)
    sae.W_enc.normal_(0, WIDTH**-0.5)
    sae.W_dec.copy_(sae.W_enc.T)
    if "jumprelu" in kind:
        sae.threshold.fill_(edge)
    elif kind == "gated":
        sae.b_gate.fill_(-edge)
    elif kind == "standard":
        sae.b_enc.fill_(-edge)
    where: Any = (0, "block_output")
    named = "transcoder" if "transcoder" in kind else "autoencoder"
    return Dictionary(kind, kind, "", named, kind, where, where, "", sae, {})  # type: ignore[arg-type]


def own_loop(sae: Any, states: Tensor, *, keep: bool) -> int:
    """sae-lens' encode piece by piece; the number of activations where they are kept."""
    found = 0
    for piece in states.split(PIECE // sae.cfg.d_sae):
        dense = sae.encode(piece)
        if keep:
            rows, features = dense.nonzero(as_tuple=True)
            found += len(dense[rows, features])
    return found


@torch.no_grad()
def rows(quick: bool) -> Iterator[BenchRow]:
    """Every kind and size."""
    for features in FEATURES[:1] if quick else FEATURES:
        for kind in KINDS[:2] if quick else KINDS:
            yield from _beside(kind, features, 3 if quick else 5)


def _beside(kind: str, features: int, rounds: int) -> Iterator[BenchRow]:
    states = torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))
    dictionary = build(kind, features)
    found = dictionary.encode(states[:200])
    name = f"{kind}, {features:,} features, {TOKENS} tokens of width {WIDTH}"
    if own_loop(dictionary.sae, states[:200], keep=True) != len(found.values):
        yield BenchRow(SECTION, name, "encode", "sae-lens", note="other features are active", status="wrong")
        return
    active = f"{found.counts.float().mean():.0f} active"
    for keep in (True, False):
        times = paired(
            clocked(lambda: dictionary.encode(states)),
            clocked(lambda k=keep: own_loop(dictionary.sae, states, keep=k)),  # type: ignore[misc]
            rounds,
        )
        against = "sae-lens, what is active kept" if keep else "sae-lens, nothing kept"
        note = f"{active}, {TOKENS * features / times.ours / 1e6:,.0f} M features/s"
        yield times.row(SECTION, name, "encode", against, aim=Aim(1.0) if keep else None, note=note, why=WHY)
