"""Every extraction method on one contrast set, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from pydantic import Field

from steering.extraction import METHODS
from steering.extraction.extract import extract_methods
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.studies.extract import ExtractSettings, reading_of
from steering.studies.extract import size_of as extract_size
from steering.studies.size import Size, Work
from steering.studies.study import Measure, Result, Study, origin
from steering.texts.contrast import ContrastSet
from steering.texts.few_prompts import few_note
from steering.texts.system_prompts import renderable
from steering.vectors.card import compare
from steering.vectors.vector import SteeringVector


class MethodsSettings(ExtractSettings):
    """What to extract, by which methods."""

    method: str = Field("mean_difference", description="The method that the cosines are with.")
    methods: tuple[str, ...] = Field((), description="Methods to compare; all that the set allows where empty.")


def run(host: Host, settings: MethodsSettings, job: Job[Result]) -> Result:
    """Extract by every method from states that are read once."""
    host = host.under(settings.chat)
    contrast, notes = renderable(host, ContrastSet.load(settings.contrast))
    wanted = settings.methods or possible(contrast)
    methods = tuple(dict.fromkeys((settings.method, *wanted)))
    found = extract_methods(host, contrast, methods, **reading_of(settings))
    vectors = {method: vector.renamed(method) for method, vector in found.items()}
    first = vectors[settings.method]
    rows = table_of(vectors, beside=first)
    return Result(
        **origin("methods", host, settings),
        measures=tuple(_auroc(name, vector) for name, vector in vectors.items() if vector.auroc is not None),
        tables={
            "methods": rows,
            "cosines": compare(vectors.values(), block=first.default_block).rename_axis("method").reset_index(),
        },
        headline="methods",
        notes=(
            f"cosine: with {settings.method}, at its default block {first.default_block}.",
            *contrast.notes,
            *([few] if (few := few_note(first.provenance.n_train, first.provenance.n_validation)) else []),
            *notes,
            *chat_notes(host),
        ),
        vectors=vectors,
    )


def _auroc(name: str, vector: SteeringVector) -> Measure:
    """The held-out AUROC of a method at its default block."""
    both = (vector.auroc, vector.auroc_low, vector.auroc_high)
    value, low, high = (None if each is None else float(each[vector.default_block]) for each in both)
    assert value is not None
    return Measure(f"auroc ({name})", value, low, high, sum(vector.provenance.n_validation))


def size_of(host: Host, settings: MethodsSettings) -> Size:
    """The states are read once for all methods, and those of another set for a method that is fitted on one.

    Raises:
        SteeringError: As `ContrastSet.load`.
    """
    once = extract_size(host, settings)
    length = once.works[-1].tokens
    others = [METHODS[name].texts for name in settings.methods or METHODS if name in METHODS and METHODS[name].texts]
    more = [Work("readings", sum(ContrastSet.load(other).counts["train"]), length) for other in others]
    return Size((*once.works, *more))


def possible(contrast: ContrastSet) -> tuple[str, ...]:
    """The methods that a contrast set allows: by its pairs and its number of training prompts."""
    least = min(contrast.counts["train"])
    return tuple(
        name
        for name, method in METHODS.items()
        if least >= method.min_train and (contrast.paired or not method.needs_pairs)
    )


def table_of(vectors: Mapping[str, SteeringVector], *, beside: SteeringVector) -> pd.DataFrame:
    """One row a vector: at its default block the AUROC and accuracy with intervals, split-half cosine and share of the
    residual norm, and its cosine with `beside` at that one's default block; NaN where something is not known.
    """
    cosines = compare([beside.renamed(""), *vectors.values()], block=beside.default_block)[""]
    return pd.DataFrame([_row(name, vector, cosines.get(name)) for name, vector in vectors.items()])


def _row(name: str, vector: SteeringVector, cosine: float | None) -> dict[str, object]:
    block = vector.default_block
    measured = ("auroc", "auroc_low", "auroc_high", "accuracy", "accuracy_low", "accuracy_high", "split_half")
    known = {each: getattr(vector, each) for each in measured}
    return {
        "name": name,
        "block": block,
        **{each: float("nan") if values is None else float(values[block]) for each, values in known.items()},
        "share_of_residual": float(vector.mean_differences[block] / vector.residual_norms[block]),
        "cosine": float("nan") if cosine is None else float(cosine),
        "n_validation": sum(vector.provenance.n_validation),
    }


METHODS_STUDY = Study(
    name="methods",
    title="Compare methods",
    summary="Every extraction method on one contrast set: what it separates, how stable it is, how they lie together.",
    settings=MethodsSettings,
    run=run,
    size=size_of,
)
