"""What was loaded, as numbers and as one line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from steering.loading.configurations import context_of, stated_width
from steering.loading.placement import places
from steering.loading.tensor_parallel import parts
from steering.model.sites import Sites
from steering.names import short_name


DEMO_CAVEAT = (
    "Measured on a demo model, a small world of template text whose inside is known: it tests the method and says "
    "nothing about large models."
)


@dataclass(frozen=True)
class ModelInfo:
    """What was loaded."""

    name: str
    source: str
    """Where it came from: "demo", "folder", "file" (GGUF), "hub" or "memory"."""
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
    """The sites that every block has."""
    adapter: str | None = None
    """LoRA or DoRA, where `name` is that of an adapter."""
    base: str | None = None
    """What the adapter was applied to."""
    quantisation: str | None = None
    """How the weights are stored, where they are quantised."""
    notes: tuple[str, ...] = ()
    """What was noticed while it was loaded, a sentence each."""

    @property
    def demo(self) -> bool:
        """Whether this is one of the models that ship with the project."""
        return self.source == "demo"

    @property
    def summary(self) -> str:
        """One line for a model bar or a log."""
        template = "chat template" if self.chat_template else "no chat template"
        adapted = f" · {self.adapter} on {short_name(self.base or '')}" if self.adapter else ""
        stored = f" · {self.quantisation}" if self.quantisation else ""
        return (
            f"{self.architecture} · {self.blocks} blocks × {self.width} · {_si(self.parameters)} parameters · "
            f"{self.device} {self.dtype} · {_bytes(self.memory_bytes)}{stored}{adapted} · {template}"
        )


def describe(
    name: str,
    source: str,
    model: PreTrainedModel,
    tokenizer: Any,
    sites: Sites,
    *,
    revision: str | None = None,
    adapter: str | None = None,
    base: str | None = None,
    quantisation: str | None = None,
    notes: tuple[str, ...] = (),
) -> ModelInfo:
    """Read everything off a loaded model; `revision` is what was asked for, where the model does not know its own, and
    the rest is as in `ModelInfo`.
    """
    template = getattr(tokenizer, "chat_template", None)
    # Some tokenizers carry several templates by name; their digest is that of all of them.
    written = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    embedding = model.get_input_embeddings().weight
    return ModelInfo(
        name=name,
        source=source,
        architecture=type(model).__name__.removesuffix("ForCausalLM").removesuffix("LMHeadModel"),
        blocks=sites.n_blocks,
        width=_width(model),
        parameters=model.num_parameters(),  # packed weights count as what they stand for
        vocabulary=embedding.shape[0],
        context=context_of(model.config, tokenizer)[0],
        dtype=str(model.dtype).removeprefix("torch."),
        device=_device_name(model),
        memory_bytes=model.get_memory_footprint(),
        chat_template=bool(template),
        template_digest=hashlib.sha256(written.encode()).hexdigest()[:12] if template else None,
        revision=getattr(model.config, "_commit_hash", None) or revision,
        sites=sites.available,
        adapter=adapter,
        base=base,
        quantisation=quantisation,
        notes=notes,
    )


def _width(model: PreTrainedModel) -> int:
    return stated_width(model.config) or model.get_input_embeddings().weight.shape[1]


def _device_name(model: PreTrainedModel) -> str:
    several = f"{parts(model)} × " if parts(model) > 1 else ""
    return several + " + ".join(places(model))


def _si(number: int) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def _bytes(number: int) -> str:
    return f"{number / 1e9:.2g} GB" if number >= 1e9 else f"{max(1, round(number / 1e6))} MB"
