"""Sparse dictionaries of a demo model: autoencoders of the residual stream, transcoders of the MLP.

They are trained on the grammar's conversations, measured on its held-out split and saved in sae-lens format, each with
a `card.json` beside the weights. The state of the first token is left out of everything: it is the same in every
conversation and, in the residual stream, several times as long as the others (each card gives the ratio).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import LlamaForCausalLM

from steering.demo.block_states import BlockStates, read_tokens
from steering.demo.dictionary_training import DictionarySettings, Report, measure, train_autoencoder, train_transcoder
from steering.demo.example import Split
from steering.demo.grammar import stream
from steering.demo.tokens import encode
from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.names import short_name
from steering.own_files import check_replaceable


Progress = Callable[[float, str], None]
"""Called with the share of the work done, from 0 to 1, and one line on where it stands."""

_DATASET = "conversations of the demo grammar (steering.demo.grammar.stream)"
_READING = 0.2
"""Share of the work that is done when all states are read."""
_NEEDED_MB = 20
_KINDS = {
    "sae": {"kind": "autoencoder", "reads": "block_output", "gives": "block_output"},
    "transcoder": {"kind": "transcoder", "reads": "mlp_input", "gives": "mlp_output"},
}
"""By folder name, what a dictionary reads and what it gives."""


@dataclass(frozen=True)
class Dictionary:
    """A trained dictionary and what is known of it."""

    sae: Any
    """The `sae_lens` object: `encode` and `decode` take and give the model's own states."""
    card: dict[str, Any]
    """What `card.json` holds; empty for a dictionary from elsewhere that has none."""


def train_dictionaries(
    model: Host | Path | str, settings: DictionarySettings, *, progress: Progress = lambda share, line: None
) -> dict[str, dict[str, Any]]:
    """Train an autoencoder and a transcoder for each block; returns the cards by folder name.

    The folder appears whole or not at all: everything is written to a hidden sibling that is renamed at the end.

    Args:
        model: A loaded model, a model folder, or the name of a demo model. Of the Llama architecture.
        settings: What to train.
        progress: Told of every step.

    Raises:
        SteeringError: No such model, another architecture, no such block, or a place that cannot be written.
    """
    check_replaceable(settings.out.expanduser().resolve(), "*/card.json")
    host = _host(model)
    for block in settings.blocks:
        host.sites.check_block(block)
    with _whole_folder(settings.out.expanduser().resolve()) as fresh:
        states = _read_split(host, "train", settings, lambda share: progress(0.9 * _READING * share, "Reading states."))
        held_out = _read_split(host, "held_out", settings, lambda share: progress(_READING, "Reading held-out states."))
        jobs = [(block, kind) for block in settings.blocks for kind in ("sae", "transcoder")]
        cards = {}
        for index, (block, kind) in enumerate(jobs):
            name = f"block-{block}-{kind}"

            def report(step: int, left: float, *, name: str = name, index: int = index) -> None:
                line = f"{name}: step {step} of {settings.steps}, {left:.3f} of the variance left."
                progress(_READING + (1 - _READING) * (index + step / settings.steps) / len(jobs), line)

            facts = {"model": short_name(host.name), "block": block, **_KINDS[kind], "dataset": _DATASET}
            cards[name] = _train_one(fresh / name, facts, states[block], held_out[block], settings, report)
    progress(1.0, f"Written to {settings.out}.")
    return cards


def load_dictionary(folder: Path | str, *, width: int | None = None) -> Dictionary:
    """Load a dictionary in sae-lens format onto the CPU, with its card if it has one.

    Args:
        folder: Holds `cfg.json` and `sae_weights.safetensors`.
        width: The width of the model that it is to be used with; None leaves this unchecked.

    Raises:
        SteeringError: No dictionary there, damaged files, or another width.
    """
    from sae_lens import SAE

    folder = Path(folder).expanduser()
    card = folder / "card.json"
    try:
        sae = SAE.load_from_disk(folder).eval()
        known = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    except Exception as error:  # sae-lens, safetensors and torch each raise their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise SteeringError(
            f"The dictionary in {folder} cannot be read: {reason}",
            "a folder in sae-lens format (cfg.json and sae_weights.safetensors).",
            "Point to the folder of one dictionary, or train it again.",
        ) from error
    if width is not None and sae.cfg.d_in != width:
        raise SteeringError(
            f"The dictionary in {folder} reads states of width {sae.cfg.d_in}.",
            f"width {width}, the model's own.",
            "Load the model that it was trained on, or choose another dictionary.",
        )
    return Dictionary(sae, known)


def _host(model: Host | Path | str) -> Host:
    if not isinstance(model, Host):
        name = str(model.expanduser().resolve()) if isinstance(model, Path) else model
        model = Host.load(name, options=LoadOptions(dtype="float32"))
    if not isinstance(model.model._module, LlamaForCausalLM):
        given = f"{short_name(model.name)} has the {model.info.architecture} architecture."
        raise SteeringError(given, "the Llama architecture, which the demo models have.", "Choose a demo model.")
    return model


def _read_split(
    host: Host, split: Split, settings: DictionarySettings, report: Callable[[float], None]
) -> dict[int, BlockStates]:
    conversations, wanted = list[list[int]](), settings.tokens if split == "train" else settings.held_out_tokens
    for example in stream(split=split, seed=settings.seed):
        conversations.append(encode(host.tokenizer, example.messages)[0])
        wanted -= len(conversations[-1]) - 1
        if wanted <= 0:
            break
    return read_tokens(host, conversations, settings.blocks, report=report)


def _train_one(
    folder: Path,
    facts: dict[str, Any],
    states: BlockStates,
    held_out: BlockStates,
    settings: DictionarySettings,
    report: Report,
) -> dict[str, Any]:
    started, curve = time.perf_counter(), list[list[float]]()

    def follow(step: int, left: float) -> None:
        if step % max(1, settings.steps // 20) == 0 or step == 1:
            curve.append([step, round(left, 4)])
        report(step, left)

    metadata, rate = _metadata(facts), getattr(settings, f"{facts['kind']}_rate")
    if facts["kind"] == "autoencoder":
        train_autoencoder(states.block_output, settings, metadata, follow).to("cpu").save_inference_model(folder)
    else:
        train_transcoder(states.mlp_input, states.mlp_output, settings, metadata, follow).to("cpu").save_model(folder)
    sae = load_dictionary(folder).sae.to(states.block_output.device)  # what is measured is what was saved
    inputs, targets = (getattr(held_out, facts[end]) for end in ("reads", "gives"))
    card = {
        **facts,
        "width": inputs.shape[1],
        "features": settings.features,
        "held_out": measure(sae, inputs, targets),
        "first_token": {"left_out": True, "norm_over_mean": round(states.first_norm[facts["gives"]], 2)},
        "trained_on": len(states.block_output),
        "settings": {"active": settings.active, "steps": settings.steps, "batch": settings.batch, "rate": rate},
        "seed": settings.seed,
        "variance_left": curve,
        "seconds": round(time.perf_counter() - started),
        "versions": {name: version(name) for name in ("torch", "sae-lens")},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def _metadata(facts: dict[str, Any]) -> Any:
    from sae_lens.saes.sae import SAEMetadata

    reads, gives = (f"block {facts['block']} {facts[end]}" for end in ("reads", "gives"))
    return SAEMetadata(model_name=facts["model"], hook_name=reads, hook_name_out=gives, prepend_bos=True, **facts)


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A hidden sibling of `out` to write into, which takes its place if all goes well and is removed if not."""
    fresh, aside = (out.parent / f".{out.name}.{word}" for word in ("partial", "replaced"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        free = shutil.disk_usage(out.parent).free / 1e6
    except OSError as error:
        given = f"The dictionaries cannot be written to {out}: {error.strerror or error}."
        raise SteeringError(given, "a folder that may be written.", "Choose another folder.") from error
    try:
        if free < _NEEDED_MB:
            remedy = "Free some space, or choose another folder."
            raise SteeringError(f"The disk of {out} has {free:.0f} MB free.", f"at least {_NEEDED_MB} MB.", remedy)
        yield fresh
        shutil.rmtree(aside, ignore_errors=True)
        if out.exists():
            out.rename(aside)
        fresh.rename(out)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
