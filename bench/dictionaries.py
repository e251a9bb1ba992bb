"""How fast states become active features, beside sae-lens' own loop over the same pieces in the same run.

Random weights, with thresholds and biases at which some 50 features are active a token. sae-lens' loop encodes pieces
of as many tokens densely and, as anybody must who keeps them, takes what is not 0; the last column is encoding alone,
with nothing kept. `make bench`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from steering.dictionaries.dictionary import PIECE, Dictionary


WIDTH, TOKENS, ROUNDS, ACTIVE = 256, 512, 3, 50
FEATURES = (16_384, 65_536)
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


def seconds(*works: Callable[[], Any]) -> list[float]:
    """The least computing that some pieces of work took, taken in turns; other programs on the machine do not count."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for kept, work in zip(times, works, strict=True):
            started = time.process_time()
            work()
            kept.append(time.process_time() - started)
    return [min(each) for each in times]


@torch.no_grad()
def main() -> None:
    """Print the table."""
    table = Table(
        title=f"{TOKENS} tokens of width {WIDTH}, {torch.get_num_threads()} threads: as a multiple of sae-lens"
    )
    for column in (
        "kind",
        "features",
        "active",
        "features a second and core",
        "beside keeping",
        "beside encoding alone",
    ):
        table.add_column(column, justify="right")
    states = torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))
    for features in FEATURES:
        for kind in KINDS:
            dictionary = build(kind, features)
            found = dictionary.encode(states[:200])
            assert own_loop(dictionary.sae, states[:200], keep=True) == len(found.values)
            ours, kept, alone = seconds(
                lambda: dictionary.encode(states),  # noqa: B023
                lambda: own_loop(dictionary.sae, states, keep=True),  # noqa: B023
                lambda: own_loop(dictionary.sae, states, keep=False),  # noqa: B023
            )
            rate = TOKENS * features / ours
            table.add_row(
                kind,
                f"{features:,}",
                f"{found.counts.float().mean():.0f}",
                f"{rate / 1e6:,.0f} M",
                f"{kept / ours:.2f}",
                f"{alone / ours:.2f}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
