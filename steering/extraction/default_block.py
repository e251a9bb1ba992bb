"""Which block a vector is written at unless somebody says otherwise."""

from __future__ import annotations

from torch import Tensor


_NEAR_BEST = 0.01
_GROWN = 0.4


def default_block(
    scores: Tensor | None, n_blocks: int, *, lowest: Tensor | None = None, shares: Tensor | None = None
) -> tuple[int, str]:
    """Which block to write at unless told otherwise, and why.

    A faint trace often separates the two sides already in the first blocks, where the concept is not yet what later
    blocks read: steering there does little. So of the blocks that separate as well as the best, those count in which
    the difference has grown to two fifths of its largest share of the state; of these, one near the middle leaves later
    blocks the most to do with what is written. Where even that block's interval reaches chance, the reason says so.

    Args:
        scores: AUROC of each block, (block,); None where it was not measured.
        n_blocks: Blocks of the model.
        lowest: Lower end of each AUROC's interval, (block,).
        shares: Mean difference as a share of the residual norm, (block,).
    """
    middle = (n_blocks - 1) / 2
    if scores is None:
        return round(middle), "the middle block: there were no validation prompts to choose by"
    best = float(scores.max())
    near = [block for block in range(n_blocks) if float(scores[block]) >= best - _NEAR_BEST]
    grown = near
    if shares is not None:
        sizes = shares.abs()  # a control's mean difference may lie to either side
        largest = max(float(sizes[block]) for block in near)
        grown = [block for block in near if float(sizes[block]) >= _GROWN * largest]
    chosen = min(grown, key=lambda block: (abs(block - middle), block))
    if lowest is not None and float(lowest[chosen]) <= 0.5:
        return chosen, (
            f"no block is shown to tell the two sides apart: the best AUROC, {best:.2f}, has an interval that "
            "reaches 0.5, which is chance. Do not expect this vector to steer"
        )
    blocks = ", ".join(map(str, grown))
    reason = (
        f"nearest to the middle of the model among blocks {blocks}, within {_NEAR_BEST} of the best AUROC, {best:.2f}"
    )
    if len(grown) < len(near):
        reason += f", and with at least {_GROWN:.0%} of the largest share of the state"
    return chosen, reason
