"""A vector in words and tables: what it is, how well it separates, how it lies to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steering.extraction import METHODS
from steering.model.model_info import DEMO_CAVEAT
from steering.names import short_name
from steering.numbers import plain_number
from steering.studies.extract import block_table
from steering.studies.methods import table_of
from steering.texts.few_prompts import few_note
from steering.vectors.card import NearestTokens, compare, last_block_note
from steering.vectors.shown import feature_words, trained_words
from steering.vectors.vector import SteeringVector
from workbench.controls.token_markup import visible
from workbench.page.markup import escape, heading, note, table


_UNITS = (
    "In brackets: 95 %, bootstrap. "
    "Accuracy: held-out prompts on their side of the training middle. Split-half: cosine of the directions from two "
    "halves of the training prompts. Mean difference and residual norm in raw units of the residual stream; share: the "
    "first over the second."
)
_ELSEWHERE = "Another tool made it: how well it tells its two sides apart was not measured here."
_CONTROLS = (
    "A control's sign is chance: where the two sides lie far apart, one draw may separate them well, or come out near "
    "0, but over many draws its AUROC is 0.5."
)


def about_vector(vector: SteeringVector) -> str:
    """What it is, from what, and why its default block."""
    made = vector.provenance
    block = vector.default_block
    title = METHODS[made.method].title if made.method in METHODS else made.method
    model = [f"from {short_name(made.model)}" + (f" on {short_name(made.base)}" if made.base else "")] * bool(
        made.model
    )
    if vector.feature:
        facts = [feature_words(vector.feature), *model]
    elif made.trained:
        facts = [trained_words(made), *model]
    elif made.elsewhere:
        facts = [title, *model, _ELSEWHERE]
    else:
        of = f"{title.lower()} of {made.positive_label} and {made.negative_label}"
        facts = [of, f"{made.n_train[0]} + {made.n_train[1]} prompts", *model]
    few = "" if made.elsewhere or made.trained else few_note(made.n_train, made.n_validation)
    minded = [*made.warnings, *([few] if few else [])]
    return (
        f"{heading(vector.name)}{note(' · '.join(facts))}{''.join(map(note, minded))}"
        f"<p class='sw-lead'><b>Default block {block}</b>: {escape(vector.default_block_reason)}.</p>"
    )


def separation_caption(vector: SteeringVector) -> str:
    """What stands under the chart of AUROC by block."""
    positive, negative = vector.provenance.n_validation
    if vector.auroc is None:
        return "No held-out prompts, so nothing was measured."
    demo = f" {DEMO_CAVEAT}" if vector.provenance.model_source == "demo" else ""
    return (
        f"Line: AUROC of {positive} + {negative} held-out prompts by their projection on the direction. "
        f"Band: 95 % bootstrap. 0.5 is chance.{demo}"
    )


def blocks_html(vector: SteeringVector) -> str:
    """The table of all blocks, the default one marked; of another tool's vector or a trained one, the lengths."""
    if vector.provenance.elsewhere or vector.provenance.trained:
        lengths = [(str(block), plain_number(length)) for block, length in enumerate(vector.mean_differences.tolist())]
        return (
            heading("Block by block")
            + table(("block", "length"), lengths, marked=vector.default_block)
            + note(f"Length: what 1 × {vector.measure} adds, in raw units of the residual stream.")
        )
    records: list[dict[str, Any]] = block_table(vector).to_dict("records")  # type: ignore[assignment]
    rows = [_block_row(record, vector) for record in records]
    headers = ["block", "AUROC", "accuracy", "split-half", "mean difference", "residual norm", "share"]
    units = _UNITS
    if vector.explained is not None:
        headers.append("explained")
        units += " Explained: share of the states' variance (of the pairs' differences, in pairwise PCA) along it."
    return heading("Block by block") + table(headers, rows, marked=vector.default_block) + note(units)


def _block_row(row: dict[str, Any], vector: SteeringVector) -> tuple[str, ...]:
    known = row["auroc"] == row["auroc"]  # NaN where there were no validation prompts
    return (
        f"{row['block']}" + (" (default)" if row["block"] == vector.default_block else ""),
        f"{row['auroc']:.3f}\n[{row['auroc_low']:.2f}, {row['auroc_high']:.2f}]" if known else "–",
        _accuracy(row),
        f"{row['split_half']:.2f}" if "split_half" in row else "–",
        plain_number(row["mean_difference"]),
        plain_number(row["residual_norm"]),
        f"{100 * row['share_of_residual']:.1f} %",
        *([f"{100 * row['explained']:.0f} %"] if "explained" in row else []),
    )


def _accuracy(row: Mapping[str, Any]) -> str:
    if "accuracy" not in row:
        return "–"
    interval = f"\n[{row['accuracy_low']:.2f}, {row['accuracy_high']:.2f}]" if "accuracy_low" in row else ""
    return f"{row['accuracy']:.2f}{interval}"


def comparison_html(vectors: Mapping[str, SteeringVector], *, beside: SteeringVector) -> str:
    """Several vectors as rows: what each separates, how stable it is, and how it lies to one of them."""
    rows = [_comparison_row(record) for record in table_of(vectors, beside=beside).to_dict("records")]  # type: ignore[arg-type]
    headers = ("vector", "block", "AUROC", "accuracy", "split-half", "share", "cosine")
    controls = [vector for vector in vectors.values() if _is_control(vector)]
    return (
        table(headers, rows)
        + note(
            f"Each at its own default block; cosine with {beside.name}, at that one's default block, "
            f"{beside.default_block}. In brackets: 95 % bootstrap intervals; one of no width means that every resample "
            "agreed, not that it is certain."
        )
        + (note(_CONTROLS) if controls else "")
        + cosines_html(vectors, beside.default_block)
    )


def cosines_html(vectors: Mapping[str, SteeringVector], block: int) -> str:
    """Cosines of every two of several vectors at one block."""
    square = compare([vector.renamed(name) for name, vector in vectors.items()], block=block)
    # Columns as wide as a number, so that ten vectors stand beside each other.
    numbers = range(1, len(square) + 1)
    rows = [
        (f"{n} {name}", *(f"{value:+.2f}" for value in square.loc[name]))
        for n, name in zip(numbers, square.index, strict=True)
    ]
    minded = {last_block_note(vector, [block]) for vector in vectors.values()} - {""}
    return (
        heading(f"Cosines at block {block}") + table(("vector", *map(str, numbers)), rows) + "".join(map(note, minded))
    )


def _is_control(vector: SteeringVector) -> bool:
    made = METHODS.get(vector.provenance.method)
    return made is not None and made.control


def tokens_html(vector: SteeringVector, nearest: NearestTokens) -> str:
    """The tokens that a direction points to, and away from."""
    rows = [
        (visible(most), f"{up:+.2f}", visible(least), f"{down:+.2f}")
        for (most, up), (least, down) in zip(nearest.most, nearest.least, strict=True)
    ]
    headers = ("towards", "cosine", "away from", "cosine")
    return (
        heading(f"Nearest tokens through the unembedding, block {vector.default_block}")
        + table(headers, rows, words=(0, 2))
        + note("In early blocks, and where cosines are small, little can be read here.")
    )


def _comparison_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    def with_interval(name: str) -> str:
        value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
        if value != value:  # NaN: not measured
            return "–"
        return f"{value:.2f}\n[{low:.2f}, {high:.2f}]" if low == low else f"{value:.2f}"

    return (
        str(row["name"]),
        str(row["block"]),
        with_interval("auroc"),
        with_interval("accuracy"),
        _known(row["split_half"], "{:+.2f}"),
        f"{100 * row['share_of_residual']:.1f} %",
        _known(row["cosine"], "{:+.2f}"),
    )


def _known(value: float, form: str) -> str:
    return form.format(value) if value == value else "–"


def others_html(vector: SteeringVector, shelf: Sequence[SteeringVector]) -> str:
    """Cosines with the other vectors on the shelf, largest first; nothing where there are none of its shape."""
    block, kept = vector.default_block, [other for other in shelf if other.name != vector.name]
    cosines = compare([vector, *kept], block=block)[vector.name].drop(vector.name)
    if cosines.empty:
        return ""
    rows = [(name, f"{cosine:+.2f}") for name, cosine in sorted(cosines.items(), key=lambda item: -abs(item[1]))]
    chance = note(f"Two random directions of width {vector.width} have a cosine of ± {vector.width**-0.5:.2f}.")
    minded = last_block_note(vector, [block])
    return (
        heading(f"Beside the shelf, at block {block}")
        + table(("vector", "cosine"), rows)
        + chance
        + (note(minded) if minded else "")
    )
