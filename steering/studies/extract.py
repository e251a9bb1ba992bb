"""The first study: extract a steering vector and say how well it separates, block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from steering.bounds import LARGEST_SEED
from steering.extraction.extract import extract
from steering.extraction.reading import REPLY_TOKENS
from steering.lane import Job
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.sites import Site
from steering.passes.activations import DEFAULT_TOKEN_BUDGET
from steering.passes.pooling import Pooling
from steering.studies.size import Size, Work, tokens_of
from steering.studies.study import Measure, Result, Study, origin
from steering.texts.contrast import ContrastSet
from steering.texts.few_prompts import few_note
from steering.texts.system_prompts import renderable
from steering.vectors.vector import SteeringVector


class ExtractSettings(BaseModel):
    """What to extract and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contrast: str = Field(
        "formality", description="A preset contrast set, or a file (see docs/files.md), perhaps as FILE::GOOD,BAD."
    )
    method: str = Field("mean_difference", description="Extraction method.")
    site: Site = Field("block_output", description="Where in each block to read.")
    pooling: Pooling = Field("last_token", description="Which token of each prompt to read; several are averaged.")
    system: str = Field("", description="System prompt before every prompt; none where empty.")
    generation_prompt: bool = Field(True, description="Whether the template opens the reply after a prompt.")
    reply_tokens: int = Field(REPLY_TOKENS, ge=1, le=512, description="mean_reply: the most tokens of the model's own.")
    name: str = Field("", description="Name of the vector; the contrast set's where empty.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of the bootstrap behind the AUROC intervals.")
    token_budget: int = Field(
        DEFAULT_TOKEN_BUDGET, ge=1, le=1_000_000, description="The most tokens in a batch, padding included."
    )
    split_half: bool = Field(True, description="Whether to fit both halves too; long for LEACE on a wide model.")
    chat: ChatSettings | None = Field(None, description=CHAT)
    states: str = Field("", description="Folder to keep the states in, as float16 .npy files; none where empty.")


def run(host: Host, settings: ExtractSettings, job: Job[Result]) -> Result:
    """Extract, and tabulate per block: AUROC with interval, mean difference and residual norm."""
    host = host.under(settings.chat)
    contrast, notes = renderable(host, ContrastSet.load(settings.contrast))
    result = result_of(host, settings, extract(host, contrast, method=settings.method, **reading_of(settings)))
    return replace(result, notes=(*result.notes, *contrast.notes, *notes))


def size_of(host: Host, settings: ExtractSettings) -> Size:
    """A reading for every prompt that a vector is fitted to or tried on, and a reply before it where the model's own
    is read.

    Raises:
        SteeringError: As `ContrastSet.load`.
    """
    contrast = ContrastSet.load(settings.contrast)
    examples = [each for each in (*contrast.positive, *contrast.negative) if each.split != "test"]
    own = settings.pooling == "mean_reply"
    bare = [each for each in examples if own and each.messages[-1].role != "assistant"]
    texts = [f"{settings.system}{''.join(message.content for message in each.messages)}" for each in examples]
    length = tokens_of(texts) + settings.reply_tokens * len(bare) / max(1, len(examples))
    return Size((Work("replies", len(bare), settings.reply_tokens), Work("readings", len(examples), length)))


def reading_of(settings: ExtractSettings) -> dict[str, Any]:
    """What `extract` and `extract_methods` take beside the contrast set and the method."""
    same = ("site", "pooling", "system", "generation_prompt", "reply_tokens", "seed", "token_budget", "split_half")
    return {
        **{name: getattr(settings, name) for name in same},
        "name": settings.name or None,
        "states": settings.states or None,
    }


def result_of(host: Host, settings: ExtractSettings, vector: SteeringVector) -> Result:
    """The tables and measures of a vector just extracted."""
    block = vector.default_block
    measures = [
        Measure(
            "mean_difference", float(vector.mean_differences[block]), None, None, sum(vector.provenance.n_train), "raw"
        ),
        Measure(
            "residual_norm", float(vector.residual_norms[block]), None, None, sum(vector.provenance.n_train), "raw"
        ),
    ]
    if vector.auroc is not None and vector.auroc_low is not None and vector.auroc_high is not None:
        interval = float(vector.auroc_low[block]), float(vector.auroc_high[block])
        measures.insert(0, Measure("auroc", float(vector.auroc[block]), *interval, sum(vector.provenance.n_validation)))
    return Result(
        **origin("extract", host, settings),
        measures=tuple(measures),
        tables={"blocks": block_table(vector)},
        headline="blocks",
        notes=(*_notes(vector), *chat_notes(host)),
        vectors={vector.name: vector},
    )


def _notes(vector: SteeringVector) -> tuple[str, ...]:
    block = f"Default block {vector.default_block}: {vector.default_block_reason}."
    few = few_note(vector.provenance.n_train, vector.provenance.n_validation)
    return (block, few) if few else (block,)


def block_table(vector: SteeringVector) -> pd.DataFrame:
    """One row a block: AUROC with its interval and n, mean difference and residual norm in raw units, and their
    ratio.
    """
    table = pd.DataFrame({"block": range(vector.n_blocks)})
    for column in ("auroc", "auroc_low", "auroc_high"):
        values = getattr(vector, column)
        table[column] = values.tolist() if values is not None else float("nan")
    for column in ("accuracy", "accuracy_low", "accuracy_high", "split_half", "explained"):
        values = getattr(vector, column)
        if values is not None:
            table[column] = values.tolist()
    table["n_validation"] = sum(vector.provenance.n_validation)
    table["mean_difference"] = vector.mean_differences.tolist()
    table["residual_norm"] = vector.residual_norms.tolist()
    table["share_of_residual"] = (vector.mean_differences / vector.residual_norms).tolist()
    return table


EXTRACT = Study(
    name="extract",
    title="Extract a vector",
    summary="A steering vector from a contrast set, with its held-out AUROC at every block.",
    settings=ExtractSettings,
    run=run,
    size=size_of,
    without=frozenset({"decoding steps"}),
)
