"""Training sparse dictionaries on states of the hosted model: autoencoders, transcoders, and crosscoders of two models.

States of whole texts are read first, then the dictionary is trained on them in random order, and measured on texts that
were held out, beside a dictionary of random directions with as many active features.
"""

from __future__ import annotations

from typing import Any

from steering.lane import Job
from steering.model.host import Host
from steering.studies.dictionaries.autoencoders import Autoencoder
from steering.studies.dictionaries.course import Course
from steering.studies.dictionaries.crosscoder import crosscoder, crosscoder_size
from steering.studies.dictionaries.findings import result_of
from steering.studies.dictionaries.settings import QUICK, CrosscoderSettings, SaeSettings, TranscoderSettings
from steering.studies.dictionaries.size import size_of
from steering.studies.dictionaries.states import TokenStates
from steering.studies.dictionaries.training import Plan, trained
from steering.studies.dictionaries.transcoders import Transcoder
from steering.studies.study import Result, Study


__all__ = ["CROSSCODER", "SAE", "TRANSCODER", "CrosscoderSettings", "SaeSettings", "TranscoderSettings"]


def run_sae(host: Host, settings: SaeSettings, job: Job[Result]) -> Result:
    """Train an autoencoder."""
    settings.check()
    host = host.under(settings.chat)
    block = settings.block_of(host)
    place = block, host.sites.check(settings.site, block)

    def learner(states: TokenStates, course: Course, metadata: Any) -> Autoencoder:
        return Autoencoder(states.at[place], course, settings.kind, metadata, host.device)

    plan = Plan("sae", "autoencoder", settings.kind, place, place, settings.rate, learner)
    return result_of("sae", host, settings, trained(host, settings, plan, job))


def run_transcoder(host: Host, settings: TranscoderSettings, job: Job[Result]) -> Result:
    """Train a transcoder of a block's MLP."""
    settings.check()
    host = host.under(settings.chat)
    block = settings.block_of(host)
    reads, gives = (block, host.sites.check_read("mlp_input", block)), (block, host.sites.check("mlp_output", block))

    def learner(states: TokenStates, course: Course, metadata: Any) -> Transcoder:
        return Transcoder(states.at[reads], states.at[gives], course, metadata, host.device)

    plan = Plan("transcoder", "transcoder", "batchtopk", reads, gives, settings.rate, learner)
    return result_of("transcoder", host, settings, trained(host, settings, plan, job))


_WITHOUT = frozenset({"decoding steps"})
SAE = Study(
    name="sae",
    title="Train a sparse autoencoder",
    summary="A sparse autoencoder of a site's states (TopK, BatchTopK, JumpReLU), measured on held-out texts.",
    settings=SaeSettings,
    run=run_sae,
    size=size_of,
    quick=QUICK,
    without=_WITHOUT,
)
TRANSCODER = Study(
    name="transcoder",
    title="Train a transcoder",
    summary="A sparse transcoder of a block's MLP, measured on held-out texts.",
    settings=TranscoderSettings,
    run=run_transcoder,
    size=size_of,
    quick=QUICK,
    without=_WITHOUT,
)
CROSSCODER = Study(
    name="crosscoder",
    title="Train a crosscoder of two models",
    summary="Features of a model and the one that it was tuned from: which are shared, and which are one model's own.",
    settings=CrosscoderSettings,
    run=crosscoder,
    size=crosscoder_size,
    quick=QUICK,
    without=_WITHOUT,
)
