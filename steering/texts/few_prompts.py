"""What it means that a contrast set is small."""

from __future__ import annotations


FEW_TRAINING = 10
"""Prompts a side to fit to, under which a direction is much of what these texts happen to differ in."""
FEW_HELD_OUT = 10
"""Held-out prompts a side under which an AUROC's interval says little."""


def few_note(train: tuple[int, int], validation: tuple[int, int]) -> str:
    """What too few prompts mean for a vector, in words; nothing where there are enough.

    The one rule for previews, pages, reports and the command line. A small set is no mistake (one pair makes a vector),
    so it is not refused.

    Args:
        train: (positive, negative) prompts to fit to.
        validation: (positive, negative) held-out prompts.
    """
    few = []
    if min(train) < FEW_TRAINING:
        few.append(
            f"Only {train[0]} + {train[1]} prompts to fit to: the direction is much of what these texts happen to "
            "differ in. 20 or more a side are usual."
        )
    if not min(validation):
        few.append("None is held out, so that nothing says how well it tells the two sides apart.")
    elif min(validation) < FEW_HELD_OUT:
        few.append("Few held-out prompts: the interval says little, and 1.00 may be luck.")
    return " ".join(few)
