"""Scores of refusal candidates one by one, with plain PyTorch hooks: what the screen must equal, and is timed against.

Written from the definitions in Arditi et al. 2024 (arXiv 2406.11717) and their published code's constants, without the
workbench's own tracing: one candidate after the other, three batched passes each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from steering.model.host import Host
from steering.model.prompts import Prompt


def plain_scores(
    host: Host, target: Sequence[Prompt], control: Sequence[Prompt], directions: Tensor, tokens: Sequence[int]
) -> dict[tuple[int, int], dict[str, float]]:
    """Scores of every candidate by (position, block).

    Args:
        host: A Llama-shaped model.
        target: Validation prompts.
        control: Others.
        directions: Raw mean differences, (token, block, width).
        tokens: Ids of refusal tokens.
    """
    n, blocks, _ = directions.shape
    base_target, base_control = (_run(host, prompts, {}) for prompts in (target, control))
    reference = [each[1].mean(dim=0) for each in (base_target, base_control)]
    alike = torch.nn.functional.cosine_similarity(*reference, dim=-1)
    looked_at = alike.argsort()[: max(1, round(0.1 * blocks))]
    found = {}
    for token in range(n):
        for block in range(blocks):
            raw = directions[token, block].float()
            if raw.norm() < 1e-6:
                continue
            unit = raw / (raw.norm() + 1e-8)
            edits = _everywhere(host, lambda x, u=unit: x - (x @ u)[..., None] * u)
            ablated_target, ablated_control = (_run(host, prompts, edits) for prompts in (target, control))
            layer = _blocks(host)[block]
            added = _run(host, control, {layer: (lambda x, r=raw: x + r, "before")})
            found[token - n, block] = {
                "bypass": _metric(ablated_target[0], tokens),
                "induce": _metric(added[0], tokens),
                "kl": _kl(base_control[0], ablated_control[0]),
                "cosmic": _alike(ablated_target[1], base_control[1], looked_at)
                + _alike(added[1], base_target[1], looked_at),
            }
    return found


def _metric(logits: Tensor, tokens: Sequence[int]) -> float:
    values = []
    for row in logits.double():
        p = float(torch.softmax(row, dim=-1)[list(tokens)].sum())
        values.append(
            float(torch.log(torch.tensor(p + 1e-8).double()) - torch.log(torch.tensor(1 - p + 1e-8).double()))
        )
    return sum(values) / len(values)


def _kl(base: Tensor, edited: Tensor) -> float:
    p, q = torch.softmax(base.double(), dim=-1), torch.softmax(edited.double(), dim=-1)
    return float((p * (torch.log(p + 1e-6) - torch.log(q + 1e-6))).sum(dim=-1).mean())


def _alike(states: Tensor, reference: Tensor, blocks: Tensor) -> float:
    first, second = (each[:, blocks].double().mean(dim=(0, 1)) for each in (states, reference))
    return float(first @ second / (first.norm() * second.norm()))


def _run(host: Host, prompts: Sequence[Prompt], edits: dict[nn.Module, tuple[Callable[[Tensor], Tensor], str]]) -> Any:
    """Logits at the last position, (prompt, vocabulary), and the states after every block there."""
    longest = max(map(len, prompts))
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt.ids)
        mask[row, longest - len(prompt) :] = 1
    model = host.model._module
    ids, mask = ids.to(host.device), mask.to(host.device)
    states: list[Tensor] = []
    with torch.no_grad(), _hooked(edits), _reading(_blocks(host), states):
        logits = model(ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits[:, -1]
    return logits.float().cpu(), torch.stack(states, dim=1)


def _blocks(host: Host) -> Any:
    return host.model._module.model.layers


def _everywhere(
    host: Host, edit: Callable[[Tensor], Tensor]
) -> dict[nn.Module, tuple[Callable[[Tensor], Tensor], str]]:
    edits: dict[nn.Module, tuple[Callable[[Tensor], Tensor], str]] = {}
    for layer in _blocks(host):
        edits |= {layer: (edit, "before"), layer.self_attn: (edit, "behind"), layer.mlp: (edit, "behind")}
    return edits


@contextmanager
def _hooked(edits: dict[nn.Module, tuple[Callable[[Tensor], Tensor], str]]) -> Iterator[None]:
    handles = []
    for module, (edit, where) in edits.items():
        if where == "before":
            handles.append(module.register_forward_pre_hook(lambda m, args, e=edit: (e(args[0]), *args[1:])))
        else:
            handles.append(module.register_forward_hook(lambda m, args, out, e=edit: _edited(out, e)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _edited(output: Any, edit: Callable[[Tensor], Tensor]) -> Any:
    return (edit(output[0]), *output[1:]) if isinstance(output, tuple) else edit(output)


@contextmanager
def _reading(blocks: Any, states: list[Tensor]) -> Iterator[None]:
    def keep(module: nn.Module, args: Any, output: Any) -> None:
        value = output[0] if isinstance(output, tuple) else output
        states.append(value[:, -1].float().cpu())

    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
