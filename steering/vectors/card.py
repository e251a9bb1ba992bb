"""What else to know of a vector: the tokens that it points to, and how it lies to others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import torch

from steering.lane import Job
from steering.loading.placement import weight_of
from steering.model.host import Host
from steering.model.token_pieces import readable
from steering.vectors.vector import SteeringVector


@dataclass(frozen=True)
class NearestTokens:
    """The tokens whose unembedding rows a direction is most, and least, aligned with."""

    most: tuple[tuple[str, float], ...]
    """(token, cosine), best first."""
    least: tuple[tuple[str, float], ...]
    """(token, cosine), most opposed first."""


LAST_BLOCK = (
    "At the last block the workbench reads and writes the stream before the model's final norm. Tools that take states "
    "from Hugging Face's `hidden_states` have them behind that norm there, so a direction for that block that one of "
    "them made is not the same as one made here."
)


def last_block_note(vector: SteeringVector, blocks: Iterable[int]) -> str:
    """What to mind where a vector's last block is among those that are compared, exported or imported; else ""."""
    return LAST_BLOCK if vector.site == "block_output" and vector.n_blocks - 1 in blocks else ""


def nearest_tokens(host: Host, vector: SteeringVector, *, block: int | None = None, n: int = 8) -> NearestTokens:
    """Tokens by the cosine of their unembedding row with the direction.

    The logit lens (nostalgebraist 2020) on a direction, without the final norm's gain. Early blocks are not written in
    the language of the unembedding, so that little can be read there.

    Args:
        host: The model.
        vector: What to read.
        block: Whose direction; the vector's own where None.
        n: How many on each side.

    Raises:
        SteeringError: The vector does not fit the model, or has no such block.
    """
    vector.check(host)
    block = vector.default_block if block is None else host.sites.check_block(block)

    def work(job: Job[NearestTokens]) -> NearestTokens:
        rows = weight_of(host.model._module.get_output_embeddings()).detach()
        direction = vector.directions[block].to(rows.device, torch.float32)
        cosines = torch.cat(
            [torch.nn.functional.cosine_similarity(part.float(), direction[None], dim=-1) for part in rows.split(8192)]
        )[: len(host.tokenizer)]
        most, least = (cosines.topk(min(n, len(cosines)), largest=largest) for largest in (True, False))
        return NearestTokens(*(_named(host, found.indices.tolist(), found.values.tolist()) for found in (most, least)))

    return host.run(work, title="Reading the unembedding")


def _named(host: Host, ids: list[int], cosines: list[float]) -> tuple[tuple[str, float], ...]:
    return tuple((readable(host.tokenizer, token), cosine) for token, cosine in zip(ids, cosines, strict=True))


def compare(vectors: Iterable[SteeringVector], *, block: int) -> pd.DataFrame:
    """Cosines between the directions of several vectors at one block: a square table with names on both sides.

    Vectors of another width, or without that block, are left out. At random two directions of width d have a cosine of
    standard deviation 1 / sqrt(d). At the last block `LAST_BLOCK` is to be minded of vectors made elsewhere.
    """
    found = list(vectors)
    width = found[0].width if found else 0
    alike = [vector for vector in found if vector.width == width and block < vector.n_blocks]
    fitting = {vector.name: vector.directions[block] for vector in alike}
    if not fitting:
        return pd.DataFrame()
    rows = torch.stack(list(fitting.values()))
    return pd.DataFrame((rows @ rows.T).numpy(), index=list(fitting), columns=list(fitting))
