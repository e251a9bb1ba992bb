"""What of a pass nnsight could send to another machine (NDIF), tried by its own simulation (`remote="local"`), which
serialises a block and reads it back where none of the project's modules are: docs/big-models.md says what follows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import nnsight
import pytest
import torch
from cloudpickle import register_pickle_by_value, unregister_pickle_by_value
from nnsight import TransformersModel
from torch import Tensor

import steering
from steering.model import host as hosts
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.writes.interventions import Write
from steering.writes.operations import Ablate, Add, Affine, Clamp, Erase, Operation, Rotate


@pytest.fixture
def by_value(monkeypatch) -> Iterator[None]:
    """The project's code goes along, as NDIF asks of what is not installed there."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # the simulation gives it back in another order
    register_pickle_by_value(steering)
    yield
    unregister_pickle_by_value(steering)


def _operations(width: int) -> list[Operation]:
    vector = torch.randn(width, generator=torch.Generator().manual_seed(2))
    u = vector / vector.norm()
    eraser = Erase(u[:, None], u[None], torch.full((width,), 0.5))
    return [Add(u, 20.0), Ablate(u), Affine(u, 1.0, 2.0), Clamp(u, 30.0, "floor"), Rotate(u, 60.0), eraser]


def test_operations_go_to_another_machine_in_a_block_that_names_nothing_else(tiny_host, by_value) -> None:
    host = tiny_host("llama")
    prompt = render(host, "Hello.")
    ids = torch.tensor([list(prompt.ids)])
    model = TransformersModel(host.model._module, tokenizer=host.tokenizer, task="text-generation")

    def sent(operation: Operation) -> Tensor:
        with torch.no_grad(), model.trace({"input_ids": ids}, remote="local"):
            model.model.layers[2].output = operation(model.model.layers[2].output)
            logits = nnsight.save(model.output.logits[:, -1])
        return logits

    plain = next_token_logits(host, [Row(prompt)])
    for operation in _operations(host.info.width):
        here = next_token_logits(host, [Row(prompt, (Write(operation, 2, "block_output"),))])
        assert (here - plain).abs().max() > 0.01, operation
        there = host.run(lambda job, operation=operation: sent(operation), title="test")
        torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4)


def test_the_workbenchs_own_pass_does_not_since_it_goes_along_with_the_model_thread(
    tiny_host, by_value, monkeypatch
) -> None:
    host = tiny_host("llama")

    class Simulated(hosts._Traced):
        def trace(self, *args, **options):
            return super().trace(*args, remote="local", **options)

    monkeypatch.setattr(host.model, "__class__", Simulated)
    with pytest.raises(TypeError, match=r"cannot pickle '_(contextvars|thread)"):
        next_token_logits(host, [Row(render(host, "Hello."))])
