"""What an export says of itself: what it does, where it came from, what carries over and what does not."""

from __future__ import annotations

from collections.abc import Sequence

from steering.engines.block_edits import BlockEdit
from steering.model.host import Host
from steering.recipes.applied import applied
from steering.recipes.recipe import Recipe
from steering.recipes.writes import Vectors


_NEVER = (
    "How replies are decoded (length, temperature, seed) and how the chat template is used are no part of it: what the "
    "engine is told holds. Numbers differ by the rounding of the engine's own precision, so that a greedy reply may "
    "part from the workbench's where two tokens are nearly as likely."
)
_EVERYWHERE = "It holds on every token, of the system prompt, the user and the reply alike, and for every request."


def vllm_note(recipe: Recipe, host: Host, vectors: Vectors, edits: Sequence[BlockEdit]) -> str:
    """README.md of a folder for vLLM."""
    rows = "\n".join(f"| {edit.block} | {edit.kind} | {_size(edit)} |" for edit in edits)
    return f"""# A recipe for vLLM

{_what(recipe, host, vectors)}

    PYTHONPATH=THIS_FOLDER vllm serve MODEL --enforce-eager

MODEL is {_model(host)}. In Python, put the folder on PYTHONPATH as well, and give
`LLM(MODEL, enforce_eager=True)`. vLLM finds the code by its plugin group `vllm.general_plugins`; where the
variable `VLLM_PLUGINS` is set, it has to name `steering_edits`. Nothing is installed.

| block | edit, in this order | |
|---|---|---|
{rows}

`edits.safetensors` holds them: `add` is one row that is added to the stream behind the block, `ablate` an
orthonormal basis R of what is taken from it, x - k Rᵀ(R x). `steering_edits.py` applies them in float32. Blocks count
from 0.

## What carries over

- {_EVERYWHERE}
  It cannot be chosen by request, and two such folders cannot be used at once.
- Compiled graphs leave hooks out, so that without `--enforce-eager` the model is not loaded.
- Each process of tensor parallelism edits the whole stream, each of pipeline parallelism its own blocks. A small model
  that drafts for it (speculative decoding) is left as it is.
- Keys and values that a server without the edits kept, or one with others, must not be loaded into this one.
- Where the model has several lists of as many layers, the variable `STEERING_BLOCKS` names the one that is meant.
- {_NEVER}

When it was written, its hooks on the plain model of transformers gave the logits of the recipe in the workbench.
"""


def gguf_note(recipe: Recipe, host: Host, vectors: Vectors) -> str:
    """What stands in the metadata of a control vector."""
    return (
        f"{_what(recipe, host, vectors)} The sum of all additions at each block, strengths folded in: scale 1 adds "
        f"what the recipe adds (llama-server --control-vector FILE). Direction N is added to the output of block N, "
        f"counted from 0. For {_model(host)}. {_EVERYWHERE} {_NEVER}"
    )


def checkpoint_note(recipe: Recipe, host: Host, vectors: Vectors) -> str:
    """README.md of a checkpoint."""
    return f"""# {host.name} with orthogonal weights

{_what(recipe, host, vectors)}

Every matrix W that writes into the residual stream, the embedding included, is W - uuᵀW here (Arditi et al. 2024,
arXiv 2406.11717), so that nothing is ever written along the direction; of several, along their span. It is an ordinary
checkpoint: whatever loads {_model(host)} loads it.

- {_EVERYWHERE} It cannot be switched off.
- The weights are rounded to {host.info.dtype}. In half precision they are orthogonal up to that rounding only.
- The output head is not the embedding any more, where it was: the file is larger by one of them.
- {_NEVER}

When it was written, it was loaded again and gave the logits of the recipe in the workbench. `orthogonalised.json` says
from which model and vectors it was made. What the direction carried, such as refusals, is gone from it: mind the
model's licence, and keep it to yourself.
"""


def _what(recipe: Recipe, host: Host, vectors: Vectors) -> str:
    said = "; ".join(applied(host, recipe, vectors))
    warned = "".join(f" {warning}" for warning in host.warnings)
    return f"Written by Steering Workbench for {host.name}: {said}.{warned}"


def _model(host: Host) -> str:
    revision = f", revision {host.info.revision}" if host.info.revision else ""
    shape = f"{host.info.architecture}, {host.info.blocks} blocks of width {host.info.width}"
    return f"{host.name}{revision} ({shape})"


def _size(edit: BlockEdit) -> str:
    if edit.kind == "add":
        return f"{float(edit.rows.norm()):.4g} raw long"
    return f"{len(edit.rows)} direction{'s' if len(edit.rows) > 1 else ''}, {edit.share:g} of the projection"
