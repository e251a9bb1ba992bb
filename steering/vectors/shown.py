"""A steering vector as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from steering.figures.plain import plain
from steering.forms.markup import facts, figure, head, inner, output, warned
from steering.model.sites import site_words
from steering.names import short_name, upper_first
from steering.numbers import plain_number
from steering.texts.few_prompts import few_note
from steering.vectors.feature import PERCENTILE, Feature


if TYPE_CHECKING:
    from steering.vectors.vector import Provenance, SteeringVector


def vector_html(vector: SteeringVector) -> str:
    """A whole output."""
    return output(vector_inner(vector, nested=False))


def vector_inner(vector: SteeringVector, *, nested: bool = True) -> str:
    """What is shown of it, in a wrapper of its own where it stands in another output."""
    parts = [
        head(vector.name, f"steering vector · {vector.n_blocks} blocks × {vector.width}"),
        warned(vector.provenance.warnings),
        facts(vector_facts(vector)),
        _by_block(vector),
    ]
    return inner(*parts) if nested else "".join(parts)


def vector_text(vector: SteeringVector) -> str:
    """The same in plain text."""
    rows = [f"{name}: {value}" for name, value in vector_facts(vector) if value]
    shape = f"{vector.n_blocks} blocks × {vector.width}"
    said = [f"Note: {each}" for each in vector.provenance.warnings]
    return "\n  ".join([f"SteeringVector '{vector.name}', {shape}", *rows, *said])


def vector_facts(vector: SteeringVector) -> Iterator[tuple[str, str]]:
    """Where it comes from, where it is written, how well it separates and how long it is."""
    made, block = vector.provenance, vector.default_block
    yield "direction", f"towards {made.positive_label}, from {made.negative_label}" if made.positive_label else ""
    yield "made from", _made(vector)
    yield "model", ", ".join(filter(None, (short_name(made.model), made.architecture, made.dtype)))
    yield "written at", f"{site_words(vector.site)}, block {block} by default: {vector.default_block_reason}"
    if vector.auroc is not None and vector.auroc_low is not None and vector.auroc_high is not None:
        value, low, high = (float(each[block]) for each in (vector.auroc, vector.auroc_low, vector.auroc_high))
        said = f"{value:.3f} [{low:.3f}, {high:.3f}]"
        yield f"AUROC at block {block}", f"{said}, held out, n = {sum(made.n_validation)}, 95 % interval by bootstrap"
    if vector.split_half is not None:
        yield "split-half cosine", f"{float(vector.split_half[block]):.2f}"
    length, residual = float(vector.mean_differences[block]), float(vector.residual_norms[block])
    share = f" ({100 * length / residual:.0f} % of the mean residual norm)" if residual else ""
    yield f"1 × {vector.measure}", f"{plain_number(length)} raw at block {block}{share}"
    yield "first strength to try", f"{vector.suggested_strength:g} × {vector.measure}"
    yield "licence of the texts", made.licence
    yield "made", f"{made.created[:16].replace('T', ' ')}, digest {vector.digest}" if made.created else vector.digest
    yield "mind", "" if made.elsewhere or made.trained else few_note(made.n_train, made.n_validation)


def _made(vector: SteeringVector) -> str:
    made = vector.provenance
    if vector.feature:
        return feature_words(vector.feature)
    if made.elsewhere:
        return f"another tool's file ({made.method}); nothing was measured of it here" if made.method else "elsewhere"
    if made.trained:
        return trained_words(made)
    train, held_out = made.n_train, made.n_validation
    how = ", ".join(filter(None, (made.method, made.pooling))).replace("_", " ")
    return (
        f"{made.contrast} by {how}; {train[0]} + {train[1]} prompts to fit to, {held_out[0]} + {held_out[1]} held out; "
        f"seed {made.seed}"
    )


def trained_words(made: Provenance) -> str:
    """By which loss on what a vector was trained, how far and at what cost."""
    told = made.settings
    budget = told.get("budget")
    cost = "no budget" if budget is None else f"a budget of {budget:g} nat{'' if budget == 1 else 's'}"
    return (
        f"{made.method} on {max(made.n_train)} examples of {made.contrast} (digest {made.contrast_digest}), as it was "
        f"after step {told.get('steps_taken', '?')}; {cost}; seed {made.seed}"
    )


def feature_words(feature: Feature) -> str:
    """Which feature a vector is the direction of, and on what its typical maximum was read."""
    read = f", read on {feature.texts}" if feature.texts else ""
    at_most = f"typical maximum {plain_number(feature.maximum)} ({PERCENTILE:g}th percentile where it is active{read})"
    return f"{feature.words}; {at_most}; dictionary {feature.digest[:12]}"


def _by_block(vector: SteeringVector) -> str:
    from steering.vectors.figures import auroc_by_block, norms_by_block  # Plotly takes long to load

    if vector.auroc is None and not vector.residual_norms.all():
        return ""  # of a vector that was made elsewhere, or trained, nothing is known by block
    if vector.auroc is None:
        drawn = plain(norms_by_block(vector))
        return figure(drawn, "Length by block", f"{upper_first(vector.measure)} as a share of the mean residual norm.")
    n = sum(vector.provenance.n_validation)
    caption = f"n = {n} held-out prompts; band: 95 % interval by bootstrap; dotted: chance."
    return figure(plain(auroc_by_block(vector)), "Held-out AUROC by block", caption)
