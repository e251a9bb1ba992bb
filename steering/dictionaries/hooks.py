"""Which state a dictionary's files mean: names of hooks and modules as a block and a site.

| said | for example | by |
|---|---|---|
| TransformerLens | `blocks.3.hook_resid_post` | sae-lens, circuit-tracer |
| a module's path | `model.layers.3.mlp.output`, `transformer.h.3` | `hf_hook_name`, sparsify |
| our own words | `block 3 block_output` | what is trained here |

A name is only taken where it means one state. Two kinds are refused with their reason: states that no site has (heads
side by side, neurons, the stream between attention and MLP), and names that mean different states in different tools
(`hook_mlp_in` is the stream before the norm in TransformerLens, and the normed state in Gemma Scope 2).

TransformerLens' `ln2.hook_normalized` is the normed state before the norm's learnt weight, whereas Hugging Face's norm
gives it with that weight: it is our `mlp_input` with the weight taken off (`steering.dictionaries.normed`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from steering.dictionaries.dictionary import Where
from steering.errors import SteeringError
from steering.model.sites import READ_SITES, ReadSite, Sites


_OURS = re.compile(r"block (\d{1,5}) (\w+)")
_TOLD = re.compile(r"\s*(\d{1,5})\s*[: ]\s*(\w+)\s*")
_PATH = re.compile(r"(?:(.*)\.)?(?:layers|blocks|h)[._](\d{1,5})(?:\.(.+))?")
_OTHER_TOWERS = re.compile(r"vision|visual|audio|encoder")
_LENS: dict[str, ReadSite] = {
    "hook_resid_pre": "block_input",
    "hook_in": "block_input",
    "hook_attn_out": "attention_output",
    "hook_mlp_out": "mlp_output",
    "mlp.hook_in": "mlp_input",
    "hook_resid_post": "block_output",
    "hook_out": "block_output",
}
_LENS_RAW: dict[str, tuple[ReadSite, str]] = {
    "attn.hook_out": ("attention_output", "attn"),
    "mlp.hook_out": ("mlp_output", "mlp"),
}
"""What a module gives by itself: our site where no norm stands behind it."""
_HEADS = "the attention heads' outputs side by side, which enter the output projection: not what attention adds"
_NEURONS = "the neurons inside the MLP, which no site has"
_MID = "the stream between attention and MLP, which no site has"
_BEFORE_WEIGHT = "ln2.hook_normalized"
_LENS_REFUSED = {
    "attn.hook_z": _HEADS,
    "hook_resid_mid": _MID,
    "mlp.hook_post": _NEURONS,
    "mlp.hook_pre": _NEURONS,
    "ln1.hook_normalized": "what enters attention, which no site has",
    "hook_attn_in": "what enters attention, which no site has",
    "hook_mlp_in": (
        "the stream before the norm in TransformerLens, but the normed state that enters the MLP in some releases"
    ),
}
_ATTENTION = ("self_attn", "attn", "attention", "self_attention", "linear_attn")
_PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense")
_MLP = ("mlp", "feed_forward", "block_sparse_moe")
_DOWN = ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "w2")


@dataclass(frozen=True)
class Hook:
    """What a name means."""

    block: int
    site: ReadSite
    module: str = ""
    """The module inside the block that gives it by itself; our site only where no norm or multiplier stands behind."""
    before_weight: bool = False
    """Whether it is that state before the norm's learnt weight."""

    @property
    def where(self) -> Where:
        return self.block, self.site


class _Unclear(Exception):
    """A name that is no place; says what it means."""


def read_hook(name: str) -> Hook:
    """The block and site that a hook's name means.

    Args:
        name: As the dictionary's files have it.

    Raises:
        SteeringError: A name that means no site of ours, or more than one state; with the reason.
    """
    name = str(name).strip()
    try:
        return _read(name)
    except _Unclear as unclear:
        raise SteeringError(
            f"The dictionary's files say that it belongs to '{name[:120]}': {unclear}.",
            f"the name of a block's {', '.join(READ_SITES)}.",
            say_where("If you know which state it reads, say so"),
        ) from None


def told_where(told: str | Where) -> Hook:
    """What the user says of where a dictionary belongs: `3:block_output`, `block 3 block_output`, or a pair.

    Raises:
        SteeringError: No block and site.
    """
    text = told if isinstance(told, str) else ":".join(str(part) for part in told)
    found = _OURS.fullmatch(text.strip()) or _TOLD.fullmatch(text)
    if found and (site := _site(found[2])):
        return Hook(int(found[1]), site)
    raise SteeringError(
        f"'{text[:60]}' was given as a place.",
        f"a block and one of {', '.join(READ_SITES)}, such as 3:block_output.",
        "Correct it.",
    )


def say_where(begins: str) -> str:
    """How one says where a dictionary belongs."""
    return f"{begins}: behind the source, as in 'FOLDER?reads=3:block_output' (a transcoder also gives=3:mlp_output)."


def check_hook(hook: Hook, sites: Sites, name: str) -> None:
    """Raise where a module that a hook names does not by itself give our site in a model, or a norm is not there.

    So in Gemma, whose `mlp` has a norm behind it, or `post_attention_layernorm`, which in Gemma stands behind attention
    and in Llama before the MLP.

    Raises:
        SteeringError: It means another state in this model.
    """
    if not 0 <= hook.block < sites.n_blocks:
        return
    block = sites.blocks[hook.block]
    if hook.before_weight and not block.mlp_norm:
        raise SteeringError(
            f"The dictionary's files say that it belongs to '{name[:120]}': the normed state before the norm's learnt "
            f"weight. In this model no norm was found whose output enters the MLP of block {hook.block}.",
            "a model with a norm before its MLPs.",
            "Load the model that it was trained on, or choose another dictionary.",
        )
    if not hook.module:
        return
    if hook.site == "mlp_input":  # a norm that in this model stands behind attention
        wrong = any(part.path == hook.module for part in block.parts("attention_output"))
        path = hook.module
    else:
        parts = block.parts(hook.site)
        path = " and ".join(part.path for part in parts)
        lens = hook.module in ("attn", "mlp") and "norm" not in path and "ln" not in path
        wrong = not (lens or any(part.path == hook.module for part in parts)) or any(part.scale != 1 for part in parts)
    if wrong:
        raise SteeringError(
            f"The dictionary's files say that it belongs to '{name[:120]}'. In this model that is not what block "
            f"{hook.block} has as {hook.site} (which is what {path} gives).",
            "a name that means one of the model's sites.",
            say_where("If you know which state it reads, say so"),
        )


def _read(name: str) -> Hook:
    if ours := _OURS.fullmatch(name):
        if site := _site(ours[2]):
            return Hook(int(ours[1]), site)
        raise _Unclear(f"{ours[2][:40]} is no site")
    if name in ("hook_embed", "embed_tokens", "model.embed_tokens"):
        raise _Unclear("the embeddings, which are block 0's input only where nothing is done to them on the way")
    found = _PATH.fullmatch(name)
    if not found:
        raise _Unclear("no block stands in it")
    if _OTHER_TOWERS.search(found[1] or ""):
        raise _Unclear("a block of another part than the language model")
    block, rest = int(found[2]), found[3] or ""
    if "hook_" in rest:
        return _lens(block, rest)
    module, _, end = rest.rpartition(".") if rest.endswith((".input", ".output")) else (rest, "", "output")
    if rest in ("input", "output"):
        module, end = "", rest
    return _module(block, module, end)


def _lens(block: int, rest: str) -> Hook:
    if rest == _BEFORE_WEIGHT:
        return Hook(block, "mlp_input", before_weight=True)
    if rest in _LENS:
        return Hook(block, _LENS[rest])
    if rest in _LENS_RAW:
        site, module = _LENS_RAW[rest]
        return Hook(block, site, module)
    raise _Unclear(_LENS_REFUSED.get(rest, "a state that no site has"))


def _module(block: int, module: str, end: str) -> Hook:
    """A module's input or output."""
    head, _, last = module.rpartition(".")
    into = end == "input"
    if not module:
        return Hook(block, "block_input" if into else "block_output")
    if module in _ATTENTION or (head in _ATTENTION and last in _PROJECTIONS):
        if into:
            raise _Unclear(_HEADS if head else "what enters attention, which no site has")
        return Hook(block, "attention_output", head or module)
    if module in _MLP or (head in _MLP and last in _DOWN):
        if into and head:
            raise _Unclear(_NEURONS)
        return Hook(block, "mlp_input") if into else Hook(block, "mlp_output", head or module)
    if into:
        raise _Unclear("a state that no site has")
    if module in ("pre_feedforward_layernorm", "ln_2"):
        return Hook(block, "mlp_input")
    if module == "post_feedforward_layernorm":
        return Hook(block, "mlp_output", module)
    if module == "post_attention_layernorm":  # before the MLP in Llama, behind attention in Gemma: `check_hook`
        return Hook(block, "mlp_input", module)
    raise _Unclear("a state that no site has")


def _site(word: str) -> ReadSite | None:
    return next((site for site in READ_SITES if site == word), None)
