"""Weight orthogonalisation: a copy of a model that cannot write along a direction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from steering.errors import SteeringError
from steering.lane import Job
from steering.loading.placement import check_at_hand
from steering.model.host import Host
from steering.model.prompts import render
from steering.model.sites import ReadPlace
from steering.own_files import check_replaceable
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Write
from steering.writes.operations import Ablate


_WRITERS = (
    *("o_proj", "out_proj", "c_proj", "dense", "wo", "linear_out"),  # of attention, state spaces and convolutions
    *("down_proj", "dense_4h_to_h", "fc2", "fc_out", "output_linear", "proj_down", "ffn.2", "w2"),  # of the MLP
    *("attention.output", "feed_forward.value"),  # of RWKV
)
"""What architectures call the last matrix of a mixer and of the MLP, by the end of its path."""
_PROBES = ("Hello.", "What is two plus three, and what is five plus six?", "Write a note to my boss.")
_STILL = 0.005
"""Share of a state along the direction from which a module counts as writing it."""
_TOLERANCE = {4: 1e-3, 2: 0.05}
"""Largest difference of a logit, as a share of the largest logit, by bytes of the weights' precision: rounded weights
are no longer quite orthogonal.
"""


def orthogonalised(host: Host, direction: Tensor, *, name: str = "") -> Host:
    """A copy of the model in which W becomes W - u uᵀ W for every matrix W that writes into the residual stream, the
    embedding included, so that nothing is ever written along u; of several directions, none along their span.

    Arditi et al. 2024, arXiv 2406.11717, section 4.1. Its logits are those of ablating u at every block's input,
    attention and MLP output; that is checked on a few prompts, and a copy that fails is refused.

    Args:
        host: The model; it stays as it is, and the copy takes as much memory again.
        direction: u, a unit vector, (width,); or several directions as rows, (n, width).
        name: Of the copy.

    Raises:
        SteeringError: Something enters the stream that no site reaches, a norm stands between a matrix and the stream
            (Gemma 2 and 3, OLMo 2), weights that are stored quantised, or a model whose copy does not give the logits
            of ablation.
    """
    ablation = Ablate(direction)  # which checks it
    check_at_hand(host.model._module, host.name, "a copy with edited weights")
    host.sites.everywhere()  # raises where ablation everywhere, which the copy must equal, cannot be written
    if any("norm" in path.split(".")[-1] for path in host.sites.inner_paths):
        raise SteeringError(
            f"{host.name} norms what attention and MLP write before it enters the residual stream.",
            "matrices that write into the stream themselves: behind a norm, orthogonal weights are not ablation.",
            "Ablate the direction everywhere instead.",
        )

    def work(job: Job[Host]) -> Host:
        copy = deepcopy(host.model._module)
        copy.set_output_embeddings(deepcopy(copy.get_output_embeddings()))  # may be the input embedding's own tensor
        copy.config.get_text_config().tie_word_embeddings = copy.config.tie_word_embeddings = False
        with torch.no_grad():
            for weight, axis in _writers(copy, host):
                job.check()
                _project(weight, ablation.basis, axis)
        edited = Host.wrap(copy, host.tokenizer, name=name or f"{host.name} orthogonalised", lane=host.lane)
        edited = edited.under(host.chat)
        _check_parity(host, edited, ablation)
        return edited

    return host.run(work, title="Orthogonalising")


def save_model(edited: Host, folder: Path, *, made_from: Host, vectors: Sequence[SteeringVector]) -> Path:
    """Write an edited model as a folder that the workbench and transformers can load, and how it was made.

    Args:
        edited: From `orthogonalised`.
        folder: New or empty.
        made_from: The model before.
        vectors: Whose directions are gone.

    Raises:
        SteeringError: The folder cannot be written, or holds something already.
    """
    check_replaceable(folder)
    of_vectors = [vector.provenance.warnings for vector in vectors]
    how = {
        "made_from": made_from.name,
        "revision": made_from.info.revision,
        "edit": "weights orthogonalised to the directions (Arditi et al. 2024, arXiv 2406.11717)",
        "vectors": {vector.name: vector.digest for vector in vectors},
        "warnings": list(dict.fromkeys((*made_from.warnings, *(said for each in of_vectors for said in each)))),
    }
    try:
        edited.model._module.save_pretrained(folder)
        edited.tokenizer.save_pretrained(folder)
        (folder / "orthogonalised.json").write_text(json.dumps(how, indent=2), encoding="utf-8")
    except OSError as error:
        raise SteeringError(
            f"The model cannot be written to '{folder}': {error.strerror or error}.", "a folder to write to."
        ) from error
    return folder


def _writers(model: nn.Module, host: Host) -> Iterator[tuple[Tensor, int]]:
    """Every tensor that writes into the stream, once, and its axis along the stream's width."""
    seen: set[int] = set()
    for path, module in model.named_modules():
        inside = path.startswith(f"{host.sites.blocks_path}.")
        if isinstance(module, nn.Embedding) and not inside and module.weight.shape[1] == host.info.width:
            yield module.weight, 1
        for name, parameter in module.named_parameters(recurse=False) if inside else ():
            axis = _axis(module, path, name, parameter, host.info.width)
            if axis is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter, axis


def _axis(module: nn.Module, path: str, name: str, parameter: Tensor, width: int) -> int | None:
    """Where a parameter has the stream's width, if it writes into the stream."""
    if f".{path}".endswith(tuple(f".{each}" for each in _WRITERS)):
        rows_in = type(module).__name__ == "Conv1D" and name == "weight"  # GPT-2 keeps them transposed
        return 1 if rows_in or parameter.ndim == 3 else 0  # a layer of all experts is (expert, width, inner)
    if name.removesuffix("_bias") not in _WRITERS:
        return None
    if parameter.ndim < 3:  # a bias, experts' biases, (expert, width), or all experts in one, (expert * inner, width)
        return parameter.ndim - 1
    # A mixture's experts are (expert, width, inner), in gpt-oss and Llama 4 (expert, inner, width).
    entering = getattr(module, "gate_up_proj", None)
    turned = parameter.shape[1] != width or (entering is not None and entering.shape[2] == 2 * parameter.shape[1])
    return 2 if turned and parameter.shape[2] == width else 1


def _project(weight: Tensor, basis: Tensor, axis: int) -> None:
    if not weight.is_floating_point():
        raise SteeringError(
            "The weights are quantised.", "weights that can be edited.", "Load the model in bfloat16 or float32."
        )
    if weight.shape[axis] != basis.shape[-1]:
        raise SteeringError(
            f"A matrix that seems to write into the residual stream has the shape {tuple(weight.shape)}.",
            f"matrices with the stream's width of {basis.shape[-1]} on the side that writes.",
            "Ablate the direction everywhere instead.",
        )
    u = basis.to(weight.device, torch.float32)
    turned = weight.float().movedim(axis, -1)
    weight.copy_((turned - (turned @ u.T) @ u).movedim(-1, axis))


def _check_parity(host: Host, edited: Host, ablation: Ablate) -> None:
    plan = tuple(Write(ablation, block, site) for block, site in host.sites.everywhere())
    prompts = [render(host, text) for text in _PROBES]
    ablated = next_token_logits(host, [Row(prompt, plan) for prompt in prompts])
    found = next_token_logits(edited, [Row(prompt) for prompt in prompts])
    apart = float((ablated - found).abs().max() / ablated.abs().max())
    itemsize = next(host.model._module.parameters()).dtype.itemsize
    if not apart <= _TOLERANCE.get(itemsize, _TOLERANCE[2]):
        raise SteeringError(
            f"On {host.name} orthogonal weights do not give the logits of ablation: they differ by {apart:.1%} of the "
            f"largest{_still_writing(edited, ablation.basis)}.",
            "a model whose matrices write into the residual stream themselves.",
            "Ablate the direction everywhere instead.",
        )


def _still_writing(edited: Host, basis: Tensor) -> str:
    """What is still written along the direction, in words."""
    found: list[str] = []

    def read(place: ReadPlace, states: Tensor) -> None:
        block, site = place
        along, size = (states.float() @ basis.T.to(states.device)).abs().max(), states.float().norm(dim=-1).max()
        if float(along / size) <= _STILL or (site == "block_input" and block > 0):
            return
        parts = edited.sites.blocks[block].parts(site)
        found.extend([f"{block}.{part.path}" for part in parts] if site != "block_input" else ["what enters block 0"])

    batch = Batch.of(edited, [render(edited, _PROBES[0])])
    read_prompts(edited, batch, Schedule(edited, [()]), read=read, places=edited.sites.everywhere())
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return f"; left along it: {', '.join(found[:4])}{more}" if found else ""
