"""A vector in words and tables: what it is, how well it separates, how it lies to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steering.extraction import METHODS
from steering.extraction.extract import FEW_HELD_OUT, FEW_NOTE
from steering.model_info import DEMO_CAVEAT
from steering.names import short_name
from steering.studies.extract import block_table
from steering.vector_card import compare
from steering.vectors import SteeringVector
from workbench.markup import escape, heading, note, table


_UNITS = (
    "Accuracy: held-out prompts on their side of the training middle. Split-half: cosine of the directions from two "
    "halves of the training prompts. Mean difference and residual norm in raw units of the residual stream; share: the "
    "first over the second."
)


def about_vector(vector: SteeringVector) -> str:
    """What it is, from what, and why its default block."""
    made = vector.provenance
    block = vector.default_block
    title = METHODS[made.method].title if made.method in METHODS else made.method
    facts = [
        f"{title.lower()} of {made.positive_label} and {made.negative_label}",
        f"{made.n_train[0]} + {made.n_train[1]} prompts",
        f"from {short_name(made.model)}",
    ]
    return (
        f"{heading(vector.name)}{note(' · '.join(facts))}"
        f"<p class='sw-lead'><b>Default block {block}</b>: {escape(vector.default_block_reason)}.</p>"
    )


def separation_caption(vector: SteeringVector) -> str:
    """What stands under the chart of AUROC by block."""
    positive, negative = vector.provenance.n_validation
    if vector.auroc is None:
        return "No validation prompts, so nothing was measured."
    few = f" {FEW_NOTE}" if min(positive, negative) < FEW_HELD_OUT else ""
    demo = f" {DEMO_CAVEAT}" if vector.provenance.model_source == "demo" else ""
    return (
        f"Line: AUROC of {positive} + {negative} held-out prompts by their projection on the direction. "
        f"Band: 95 % bootstrap. 0.5 is chance.{few}{demo}"
    )


def blocks_html(vector: SteeringVector) -> str:
    """The table of all blocks, the default one marked."""
    records: list[dict[str, Any]] = block_table(vector).to_dict("records")  # type: ignore[assignment]
    rows = [_block_row(record, vector) for record in records]
    headers = ("block", "AUROC", "95 %", "accuracy", "split-half", "mean difference", "residual norm", "share")
    return heading("Block by block") + table(headers, rows, marked=vector.default_block) + note(_UNITS)


def _block_row(row: dict[str, Any], vector: SteeringVector) -> tuple[str, ...]:
    known = row["auroc"] == row["auroc"]  # NaN where there were no validation prompts
    return (
        f"{row['block']}" + (" (default)" if row["block"] == vector.default_block else ""),
        f"{row['auroc']:.3f}" if known else "–",
        f"[{row['auroc_low']:.2f}, {row['auroc_high']:.2f}]" if known else "–",
        f"{row['accuracy']:.2f}" if "accuracy" in row else "–",
        f"{row['split_half']:.2f}" if "split_half" in row else "–",
        f"{row['mean_difference']:.3g}",
        f"{row['residual_norm']:.3g}",
        f"{100 * row['share_of_residual']:.1f} %",
    )


def others_html(vector: SteeringVector, shelf: Sequence[SteeringVector]) -> str:
    """Cosines with the other vectors on the shelf, largest first; nothing where there are none of its shape."""
    block, kept = vector.default_block, [other for other in shelf if other.name != vector.name]
    cosines = compare([vector, *kept], block=block)[vector.name].drop(vector.name)
    if cosines.empty:
        return ""
    rows = [(name, f"{cosine:+.2f}") for name, cosine in sorted(cosines.items(), key=lambda item: -abs(item[1]))]
    chance = note(f"Two random directions of width {vector.width} have a cosine of ± {vector.width**-0.5:.2f}.")
    return heading(f"Beside the shelf, at block {block}") + table(("vector", "cosine"), rows) + chance
