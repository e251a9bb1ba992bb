"""Host: one loaded model, its tokenizer, chat template, blocks and sites; the only owner of the weights."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from nnsight import TransformersModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from steering.errors import SteeringError
from steering.lane import Job, Lane
from steering.resources import resource
from steering.sites import Sites, find_sites


T = TypeVar("T")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
QUANTISATIONS = ("8bit", "4bit")


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load a model; the defaults suit most."""

    dtype: str = "auto"
    """float32, bfloat16, float16, or auto: as stored on an accelerator, float32 on a CPU (where half precision is
    slow).
    """
    device: str = "auto"
    """A torch device, or auto: CUDA, then Apple's MPS, then the CPU."""
    device_map: str | None = None
    """Accelerate's placement over several devices, such as "auto"; overrides `device`."""
    revision: str | None = None
    """Branch, tag or commit on the Hub."""
    quantisation: str | None = None
    """8bit or 4bit, by bitsandbytes (the `quantisation` extra)."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Leave off unless you have read that code."""
    blocks: str | None = None
    """Dotted path of the list of decoder blocks, for an architecture that the workbench does not find its way in."""


@dataclass(frozen=True)
class ModelInfo:
    """What was loaded."""

    name: str
    source: str
    """Where it came from: "demo", "folder" or "hub"."""
    architecture: str
    """Class name without its task suffix, such as `Llama`."""
    blocks: int
    width: int
    """Size of the residual stream."""
    parameters: int
    vocabulary: int
    context: int
    """The most positions, prompt and reply together."""
    dtype: str
    device: str
    memory_bytes: int
    """Bytes the weights and buffers take."""
    chat_template: bool
    template_digest: str | None
    """First 12 hex digits of the chat template's SHA-256."""
    revision: str | None
    sites: tuple[str, ...]

    @property
    def demo(self) -> bool:
        """Whether this is one of the models that ship with the project."""
        return self.source == "demo"

    @property
    def summary(self) -> str:
        """One line for a model bar or a log."""
        template = "chat template" if self.chat_template else "no chat template"
        return (
            f"{self.architecture} · {self.blocks} blocks × {self.width} · {_si(self.parameters)} parameters · "
            f"{self.device} {self.dtype} · {_bytes(self.memory_bytes)} · {template}"
        )


class Host:
    """A model on its lane. Every read and write goes through `run`, whatever thread asks."""

    def __init__(self, model: PreTrainedModel, tokenizer: Any, *, info: ModelInfo, sites: Sites, lane: Lane) -> None:
        self.info = info
        self.sites = sites
        self.lane = lane
        self.tokenizer = tokenizer
        self.model = TransformersModel(model.eval(), tokenizer=tokenizer)
        accepted = inspect.signature(model.forward).parameters
        self.accepts = frozenset(name for name in ("position_ids", "logits_to_keep") if name in accepted)
        self.end_ids = _end_ids(model, tokenizer)

    @classmethod
    def load(cls, name: str, *, lane: Lane | None = None, options: LoadOptions | None = None) -> Host:
        """Load a model by the name of a demo model, a local folder or a Hub id.

        Args:
            name: "demo", the path of a folder with `config.json` and weights, or an id such as `Qwen/Qwen3-0.6B`.
            lane: The model thread to live on; a new one where none is given.
            options: Device, precision and trust.

        Raises:
            SteeringError: No such model, no weights in the folder, unknown architecture, unknown dtype or device.
        """
        lane = lane or Lane()
        return lane.run(lambda job: cls._load(name, lane, options or LoadOptions(), job), title=f"Loading {name}")

    @classmethod
    def _load(cls, name: str, lane: Lane, options: LoadOptions, job: Job[Any]) -> Host:
        path, source = locate(name)
        job.report(0, 3, "reading the configuration")
        config, tokenizer = _config_and_tokenizer(name, path, options)
        job.report(1, 3, "reading the weights")
        model = _weights(name, path, options)
        job.report(2, 3, "finding blocks and sites")
        sites = find_sites(model, config.get_text_config().num_hidden_layers, options.blocks)
        info = _describe(name, source, model, tokenizer, sites, options)
        return cls(model, tokenizer, info=info, sites=sites, lane=lane)

    @classmethod
    def wrap(cls, model: PreTrainedModel, tokenizer: Any, *, name: str = "model", lane: Lane | None = None) -> Host:
        """Host a model that is already in memory (a notebook's, or a test's random one)."""
        sites = find_sites(model, model.config.get_text_config().num_hidden_layers)
        info = _describe(name, "memory", model, tokenizer, sites, LoadOptions())
        return cls(model, tokenizer, info=info, sites=sites, lane=lane or Lane())

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def device(self) -> torch.device:
        """Where token ids go in: the device of the embedding."""
        return self.model._module.get_input_embeddings().weight.device

    def run(self, work: Callable[[Job[Any]], T], *, title: str) -> T:
        """Do `work` on the model thread and return its result; joins the current job when already there."""
        return self.lane.run(lambda job: guarded(work, job), title=title)

    def submit(self, work: Callable[[Job[T]], T], *, title: str) -> Job[T]:
        """Queue `work` on the model thread."""
        return self.lane.submit(lambda job: guarded(work, job), title=title)


def guarded(work: Callable[[Job[Any]], T], job: Job[Any]) -> T:
    """Run `work` and turn an out-of-memory failure into an error that says what to change."""
    try:
        return work(job)
    except torch.OutOfMemoryError as error:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise SteeringError(
            f"The device ran out of memory during '{job.title}'.",
            remedy="Use shorter texts, fewer rows or a smaller token budget, or load the model in bfloat16 or 8bit.",
        ) from error


def demo_models() -> tuple[str, ...]:
    """Names of the models that ship with the project."""
    folder = resource("assets", "models")
    return tuple(sorted(path.name for path in folder.iterdir() if (path / "config.json").exists()))


def locate(name: str) -> tuple[str, str]:
    """Resolve a model name to (path or Hub id, source), demo models first.

    Raises:
        SteeringError: The name is empty, or names a folder that holds no model.
    """
    if not name.strip():
        raise SteeringError("No model was named.", f"{_KINDS}.", "Type a name.")
    if name in demo_models():
        return str(resource("assets", "models", name)), "demo"
    folder = Path(name).expanduser()
    if folder.is_dir():
        _check_folder(folder)
        return str(folder), "folder"
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise SteeringError(f"There is no folder '{name}'.", f"{_KINDS}.", "Check the path.")
    return name, "hub"


_KINDS = "the name of a demo model ('demo'), a local folder, or a Hub id such as 'Qwen/Qwen3-0.6B'"


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise SteeringError(
            f"The folder '{folder}' has no config.json.",
            "a Hugging Face model folder (config.json, tokenizer files, *.safetensors).",
            "Point to the folder that holds config.json.",
        )
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise SteeringError(
            f"The folder '{folder}' has no weights.",
            "at least one *.safetensors (or pytorch_model*.bin) file beside config.json.",
            "Download the weights as well, or point to another folder.",
        )


def _config_and_tokenizer(name: str, path: str, options: LoadOptions) -> tuple[Any, Any]:
    shared = {"revision": options.revision, "trust_remote_code": options.trust_remote_code}
    try:
        return AutoConfig.from_pretrained(path, **shared), AutoTokenizer.from_pretrained(path, **shared)
    except Exception as error:  # transformers and the Hub raise OSError, ValueError, KeyError and their own
        raise _load_error(name, error) from error


def _weights(name: str, path: str, options: LoadOptions) -> PreTrainedModel:
    device = _device(options.device)
    keywords: dict[str, Any] = {
        "revision": options.revision,
        "trust_remote_code": options.trust_remote_code,
        "dtype": _dtype(options.dtype, device),
    }
    if options.quantisation:
        keywords["quantization_config"] = _quantisation(options.quantisation)
    if options.device_map or options.quantisation:
        keywords["device_map"] = options.device_map or {"": device}
    try:
        model = AutoModelForCausalLM.from_pretrained(path, **keywords)
        return model if "device_map" in keywords else model.to(device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # see _config_and_tokenizer
        raise _load_error(name, error) from error


def _load_error(name: str, error: Exception) -> SteeringError:
    reason = str(error).strip().split("\n")[0][:300]
    if "trust_remote_code" in str(error):
        return SteeringError(
            f"The model '{name}' comes with its own Python code, which was not run.",
            "a model that transformers knows, or your explicit trust.",
            "Read that code, then load again with trust_remote_code (--trust-remote-code).",
        )
    return SteeringError(
        f"The model '{name}' could not be loaded: {reason}",
        f"{_KINDS}.",
        "Check the spelling, your network and, for a gated model, your Hugging Face login (`hf auth login`).",
    )


def _dtype(name: str, device: torch.device) -> Any:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if name not in DTYPES:
        raise SteeringError(f"The dtype '{name}' was asked for.", f"auto, {', '.join(DTYPES)}.", "Choose one of these.")
    return DTYPES[name]


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        return device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SteeringError(
            f"The device '{name}' cannot be used: {str(error).splitlines()[0]}",
            "auto, cpu, cuda, cuda:1, mps, …, as far as this machine has them.",
            "Choose another device.",
        ) from error


def _quantisation(kind: str) -> Any:
    if kind not in QUANTISATIONS:
        raise SteeringError(
            f"The quantisation '{kind}' was asked for.", f"{' or '.join(QUANTISATIONS)}.", "Choose one."
        )
    try:
        import bitsandbytes  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise SteeringError(
            f"The quantisation '{kind}' needs bitsandbytes, which is not installed.",
            remedy="Install it: pip install 'steering-workbench[quantisation]'.",
        ) from error
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=kind == "8bit", load_in_4bit=kind == "4bit")


def _describe(
    name: str, source: str, model: PreTrainedModel, tokenizer: Any, sites: Sites, options: LoadOptions
) -> ModelInfo:
    config = model.config.get_text_config()
    template = getattr(tokenizer, "chat_template", None)
    # Some tokenizers carry several templates by name; their digest is that of all of them.
    written = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    embedding = model.get_input_embeddings().weight
    return ModelInfo(
        name=name,
        source=source,
        architecture=type(model).__name__.removesuffix("ForCausalLM").removesuffix("LMHeadModel"),
        blocks=sites.n_blocks,
        width=config.hidden_size,
        parameters=sum(p.numel() for p in model.parameters()),
        vocabulary=embedding.shape[0],
        context=getattr(config, "max_position_embeddings", None) or 2048,
        dtype=str(model.dtype).removeprefix("torch."),
        device=_device_name(model),
        memory_bytes=model.get_memory_footprint(),
        chat_template=bool(template),
        template_digest=hashlib.sha256(written.encode()).hexdigest()[:12] if template else None,
        revision=getattr(model.config, "_commit_hash", None) or options.revision,
        sites=sites.available,
    )


def _device_name(model: PreTrainedModel) -> str:
    devices = sorted({str(p.device) for p in model.parameters()})
    return devices[0] if len(devices) == 1 else f"{len(devices)} devices"


def _end_ids(model: PreTrainedModel, tokenizer: Any) -> frozenset[int]:
    generation = getattr(model, "generation_config", None)
    stated = getattr(generation, "eos_token_id", None)
    ids = stated if isinstance(stated, list) else [stated]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


def _si(number: int) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def _bytes(number: int) -> str:
    return f"{number / 1e9:.2g} GB" if number >= 1e9 else f"{max(1, round(number / 1e6))} MB"
