"""Weights that were not read: tensors that are missing, newly made, left over or no numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from steering.errors import SteeringError
from steering.loading.configurations import number_of_blocks, text_config
from steering.loading.model_kinds import is_wrapper


_ALLOW = "--allow-missing (LoadOptions.allow_missing) loads it all the same."
_INDEX = re.compile(r"\.(\d+)\.")
_LEFT_BY_OTHERS = re.compile(r"lora_|qweight|qzeros|absmax|quant_state|weight_scale|weight_packed|input_scale")
_HEADS = re.compile(r"(^|\.)(score|v_head|value_head|classifier|reward_head|summary)\b")


def check_loaded(name: str, model: nn.Module, loading: Mapping[str, Any], *, allow: bool) -> list[str]:
    """Hold what was read against what the model has.

    Args:
        name: What the user typed, for messages.
        model: As loaded.
        loading: What transformers says of the tensors it read.
        allow: Whether to go on with new weights in place of what is missing.

    Returns:
        What the user should know, a sentence each.

    Raises:
        SteeringError: Tensors that the model has and the files do not, of other shapes, or that belong to a model that
            computes something else.
    """
    found = [*_missing(model, loading), *_of_other_shapes(loading), *_left_over(model, loading)]
    problems = [problem for problem, _ in found]
    if problems and not allow:
        given, expected = found[0]
        more = f" And: {' '.join(problem for problem, _ in found[1:])}" if len(found) > 1 else ""
        raise SteeringError(f"'{name}': {given}{more}", expected, f"Check that all its files are there; {_ALLOW}")
    heads = sorted(key for key in loading.get("unexpected_keys", ()) if _is_part_of_its_own(key, model))
    notes = [f"The weights hold {_some(heads)}, which a text generator does not use."] if heads else []
    return [*problems, *notes]


def _is_part_of_its_own(key: str, model: nn.Module) -> bool:
    """Whether a tensor belongs to a part that the model does not have, such as a reward head or one of Medusa's."""
    first, _, rest = key.partition(".")
    known = {name for name, _ in model.named_children()}
    known |= {name for child in model.children() for name, _ in child.named_children()}
    return bool(_HEADS.search(key)) or (rest.endswith("weight") and first not in known)


def check_finite(name: str, model: nn.Module) -> None:
    """Look for weights that are no numbers.

    Raises:
        SteeringError: There are some.
    """
    broken = [
        key
        for key, each in model.named_parameters()
        if each.is_floating_point() and not each.is_meta and not _all_finite(each)
    ]
    if broken:
        raise SteeringError(
            f"'{name}' has NaN or infinite values in {len(broken)} of its tensors: {_some(broken)}.",
            "finite numbers: every reply would be nonsense.",
            "Download it again, or load it in another precision (float16 overflows past 65,504).",
        )


def check_logits(model: nn.Module, logits: torch.Tensor) -> None:
    """Look for a model that says nothing: logits that are no numbers, or the same for every token.

    Args:
        model: Which.
        logits: What it gives for a short text, (position, vocabulary).

    Raises:
        SteeringError: It does.
    """
    name = type(model).__name__
    if not bool(torch.isfinite(logits).all()):
        raise SteeringError(
            f"{name} gives logits that are NaN or infinite for a short text.",
            "finite numbers.",
            "Load it in another precision (float16 overflows past 65,504), or download it again.",
        )
    rounding = torch.finfo(logits.dtype).eps * logits.abs().amax(dim=-1)
    if bool((logits.amax(dim=-1) - logits.amin(dim=-1) <= rounding).all()):
        weights = [each for each in model.parameters() if each.is_floating_point() and not each.is_meta]
        empty = not any(bool(each.count_nonzero()) for each in weights)
        why = "all of its weights are zero" if empty else "its output head, or what leads to it, is empty"
        raise SteeringError(
            f"{name} gives every token the same logit, whatever it reads: {why}.",
            "trained weights.",
            "Download it again: what was saved is an empty or unfinished checkpoint.",
        )


def _all_finite(weights: torch.Tensor) -> bool:
    if weights.dtype.itemsize < 2:  # eight-bit floats have no such test of their own
        weights = weights.to(torch.float32)
    return bool(torch.isfinite(weights).all())


def _missing(model: nn.Module, loading: Mapping[str, Any]) -> list[tuple[str, str]]:
    missing = sorted(loading.get("missing_keys", ()))
    if is_wrapper(model.config):
        missing = [key for key in missing if _of_text(model, key)]
    if not missing:
        return []
    head = _missing_head(model, missing)
    if elsewhere := _elsewhere(missing, loading.get("unexpected_keys", ())):
        return [elsewhere]
    what = "the output head is not in its files, so that they are no text generator's"
    said = f"{what}: {_some(missing)}." if head else f"{_tensors(missing)} not in its files: {_some(missing)}."
    return [(f"{said} They would be made anew, at random.", "weights for every part of the model.")]


def _elsewhere(missing: Sequence[str], unexpected: Iterable[str]) -> tuple[str, str] | None:
    """What is said where all that is missing lies in the files under other names."""
    left = set(unexpected)
    prefixes = (key.removesuffix(missing[0]) for key in left if key.endswith(missing[0]))
    if prefix := next((each for each in sorted(prefixes) if all(each + key in left for key in missing)), None):
        said = f"its {len(missing):,} tensors are in the files under other names, each with '{prefix}' in front."
        return said, f"the names that transformers gives them: take '{prefix}' off, and save the weights again."
    if left and len(missing) > len(left) and not any("." in key for key in left):
        said = f"its files hold {_some(sorted(left))} and no tensors of the model: a checkpoint of a training."
        return said, "the tensors by name, as save_pretrained writes them."
    return None


def _missing_head(model: nn.Module, missing: Iterable[str]) -> bool:
    """Whether all that is missing is the output head."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    own = {key.removesuffix(".weight") for key, module in model.named_modules() if module is head} if head else set()
    return {key.rsplit(".", 1)[0] for key in missing} <= own


def _of_text(model: nn.Module, key: str) -> bool:
    """Whether a tensor of a multimodal model belongs to its decoder or output head."""
    parts = (model.get_decoder(), model.get_output_embeddings())  # type: ignore[operator]
    names = [name for name, module in model.named_modules() if any(module is part for part in parts)]
    return any(key.startswith(f"{name}.") for name in names) or not names


def _of_other_shapes(loading: Mapping[str, Any]) -> list[tuple[str, str]]:
    wrong = sorted(loading.get("mismatched_keys", ()))
    if not wrong:
        return []
    key, stored, wanted = wrong[0]
    said = f"{_tensors(wrong)} of another shape than its configuration says, such as {key}: "
    return [(f"{said}{tuple(stored)} in the files, {tuple(wanted)} by the configuration.", "one model's files.")]


def _left_over(model: nn.Module, loading: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Tensors that say that the files are of a model which computes something else."""
    unexpected = sorted(loading.get("unexpected_keys", ()))
    modules = dict(model.named_modules())
    prefix = getattr(model, "base_model_prefix", "")
    blocks = number_of_blocks(model.config) or 0
    beyond = [key for key in unexpected if _beyond(key, modules, prefix, blocks)]
    if beyond and len({_index(key) for key in beyond}) > _predictors(model.config):
        return [
            (
                f"its files hold more blocks than the {blocks} of its configuration: {_some(beyond)}.",
                "as many blocks in the configuration as in the files.",
            )
        ]
    telling = [key for key in unexpected if _inside(key, modules, prefix) and key not in beyond]
    if telling:
        return [
            (
                f"{_tensors(telling)} in its files without a place in a {type(model).__name__} of this configuration: "
                f"{_some(telling)}.",
                "a configuration that describes the files: what is left out would change every reply.",
            )
        ]
    return []


def _index(key: str) -> int:
    found = _INDEX.search(key)
    return int(found[1]) if found else -1


def _named(path: str, modules: Mapping[str, nn.Module], prefix: str) -> nn.Module | None:
    return modules.get(path) or modules.get(f"{prefix}.{path}") or modules.get(path.removeprefix(f"{prefix}."))


def _beyond(key: str, modules: Mapping[str, nn.Module], prefix: str, blocks: int) -> bool:
    """Whether a tensor belongs to a block behind the last one."""
    found = _INDEX.search(key)
    if found is None or not blocks or int(found[1]) < blocks:
        return False
    blocks_list = _named(key[: found.start()], modules, prefix)
    return isinstance(blocks_list, nn.ModuleList) and len(blocks_list) == blocks


def _predictors(config: Any) -> int:
    """Blocks behind the last one that foretell further tokens, which text generation does without."""
    said = {**vars(config), **vars(text_config(config))}
    return sum(n for key, n in said.items() if isinstance(n, int) and ("nextn" in key or "mtp" in key.lower()))


def _inside(key: str, modules: Mapping[str, nn.Module], prefix: str) -> bool:
    """Whether a tensor is a weight inside a block that the model has."""
    found = _INDEX.search(key)
    if found is None or _named(key[: found.end() - 1], modules, prefix) is None:
        return False
    path, _, leaf = key.rpartition(".")
    if _LEFT_BY_OTHERS.search(key):
        return True
    owner = _named(path, modules, prefix)
    # GPT-2 and its kin once kept their causal mask as `attn.bias`: a module with parts of its own has no bias.
    return leaf in ("weight", "bias") and (owner is None or not any(owner.children()))


def _tensors(names: Sequence[Any]) -> str:
    return "1 tensor is" if len(names) == 1 else f"{len(names)} tensors are"


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
