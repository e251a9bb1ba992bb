"""Passes that keep little for the way back: the same gradients, from less that is held."""

from __future__ import annotations

import pytest
import torch

from steering.model.device_memory import NoRoom
from steering.model.prompts import render
from steering.passes.checkpointed import Back, as_many_as_fit, checkpointed
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.training.trainee import Trainee
from steering.writes.interventions import Write
from steering.writes.stacking import AddRows
from tests.steering.training.test_training_gradients import objective


TEXT = "Write a longer note to my boss, please."


class Held:
    """Counts the bytes that autograd holds, each storage once, without the model's own."""

    def __init__(self, host) -> None:
        self.bytes, self._seen = 0, {each.untyped_storage().data_ptr() for each in host.model._module.parameters()}
        self._alive: list[torch.Tensor] = []

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self._alive.append(tensor)  # else its address could be another's
            self.bytes += storage.nbytes()
        return tensor


def slopes(host, places, back):
    """Slopes of a number made of logits with regard to what is added at some places, the number, and bytes held."""
    batch = Batch.of(host, [render(host, TEXT), render(host, "Hello.")])
    live = [torch.zeros(1, 1, host.info.width, requires_grad=True) for _ in places]
    plan = tuple(Write(AddRows(each), *place) for each, place in zip(live, places, strict=True))
    held = Held(host)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(held, lambda tensor: tensor):
        logits = read_prompts(host, batch, Schedule(host, [plan] * 2), gradients=back).logits
        value = torch.log_softmax(logits, dim=-1)[:, 5].sum()
    return torch.autograd.grad(value, live), float(value.detach()), held.bytes


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "mixtral"])
@pytest.mark.parametrize("places", [[(0, "block_output")], [(1, "attention_output"), (1, "mlp_output")]])
def test_gradients_are_the_same_and_less_is_held(tiny_host, name, places) -> None:
    host = tiny_host(name)
    ways: tuple[Back, ...] = (True, "checkpointed")
    whole, little = (host.run(lambda job, way=way: slopes(host, places, way), title="Test") for way in ways)
    assert all(each.abs().max() > 1e-4 for each in whole[0]), "there is something to compare"
    for one, other in zip(whole[0], little[0], strict=True):
        assert torch.equal(one, other), "the same operations in the same order"
    assert little[1] == whole[1]
    # At two blocks there is not much to be saved: logits and the block that is written are held either way.
    assert little[2] < 0.6 * whole[2]
    assert all(weight.requires_grad for weight in host.model._module.parameters())


def test_the_model_is_as_it_was_behind_a_pass_that_fails(tiny_host) -> None:
    host = tiny_host("llama")
    module = host.model._module
    before = [part.__dict__.get("forward") for part in module.modules()]

    def fails() -> None:
        with checkpointed(module.model.layers, [], "checkpointed"):
            assert [part.__dict__.get("forward") for part in module.modules()] != before
            raise RuntimeError("in the pass")

    with pytest.raises(RuntimeError, match="in the pass"):
        fails()
    assert [part.__dict__.get("forward") for part in module.modules()] == before


def test_one_row_alone_is_gone_back_through_with_checkpoints(tiny_host) -> None:
    host, tried = tiny_host("llama"), list[tuple[list[int], Back]]()

    def short_of_room(part, back):
        tried.append((list(part), back))
        if len(part) > 1 or (part == [2] and back is True) or part == [3]:
            raise torch.OutOfMemoryError("no room")
        return sum(part)

    found = as_many_as_fit(host, [[1, 2]], short_of_room, len)
    assert list(found) == [([1], 1), ([2], 2)]
    assert tried == [([1, 2], True), ([1], True), ([2], True), ([2], "checkpointed")]
    with pytest.raises(NoRoom, match="A text of 1 tokens"):
        list(as_many_as_fit(host, [[3]], short_of_room, len))


def test_a_training_goes_on_with_checkpoints_where_one_example_does_not_fit(tiny_host, monkeypatch) -> None:
    host, ways = tiny_host("llama"), list[Back]()

    def work(job):
        made = objective(host, Trainee((1,)))
        one, real = made.measured(range(4), gradient=True), made._part

        def short_of_room(part, shift, progress, of, back):
            ways.append(back)
            if back is True:
                raise torch.OutOfMemoryError("no room")
            return real(part, shift, progress, of, back)

        monkeypatch.setattr(made, "_part", short_of_room)
        return one, made.measured(range(4), gradient=True)

    one, little = host.run(work, title="Test")
    assert ways.count("checkpointed") == 4
    # Examples one by one: sums in another order.
    assert torch.allclose(little.gradient[0], one.gradient[0], rtol=1e-3, atol=1e-6)
