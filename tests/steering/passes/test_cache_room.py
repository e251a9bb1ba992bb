"""Caches with room for tokens to come against transformers' own, whose every token copies all that went before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
import torch

from steering.model.host import Host
from steering.model.prompts import render
from steering.passes import cache_room
from steering.passes.cache_room import RoomyLayer, with_room, without_room
from steering.passes.decoding import generate
from steering.passes.hooked import traced_steps
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.running import Running
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from tests.steering.passes.test_captured import logits_of
from tests.steering.passes.test_hooked import plans
from tests.steering.passes.test_passes import TEXTS


TOKENS = 24
SETTINGS = DecodeSettings(max_new_tokens=TOKENS)
FAMILIES = ["llama", "gpt2", "qwen3", "qwen2_moe", "phi3", "gpt_neox", "olmo2", "opt"]


@contextmanager
def rooms(*, least: int = 0, places: int = cache_room.PLACES) -> Iterator[list[RoomyLayer]]:
    """Every batch within gets room, however small it is; gives the layers that were laid out."""
    made: list[RoomyLayer] = []
    begin = RoomyLayer.__init__

    def noted(self: RoomyLayer, *given: Any) -> None:
        begin(self, *given)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_room, "LEAST", least)
        patch.setattr(cache_room, "PLACES", places)
        patch.setattr(RoomyLayer, "__init__", noted)
        yield made


def rows_of(host: Host) -> list[Row]:
    """Prompts of several lengths, with plans that write at every step, one of them by a gate."""
    rows = [Row(render(host, text), plan) for text, plan in zip(TEXTS, plans(), strict=False)]
    assert len({len(row.prompt) for row in rows}) > 1
    return rows


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("traced", [False, True], ids=["hooks", "traced"])
def test_logits_are_the_same_to_the_bit(tiny_host: Callable[[str], Host], name: str, traced: bool) -> None:
    host = tiny_host(name)
    tokens = 6 if traced else TOKENS
    plain = logits_of(host, rows_of(host), tokens)
    with rooms() as made:
        if traced:
            with traced_steps():
                found = logits_of(host, rows_of(host), tokens)
        else:
            found = logits_of(host, rows_of(host), tokens)
    assert len(made) == host.info.blocks
    assert plain.std() > 0.1
    assert torch.equal(found, plain)


def test_a_step_adds_its_own_and_copies_no_others(tiny_host: Callable[[str], Host]) -> None:
    host = tiny_host("llama")

    def places(job: Any) -> list[int]:
        running = Running.begin(host, rows_of(host), [SETTINGS] * len(rows_of(host)))
        found = []
        for _ in range(8):
            running.step()
            found.append(running.cache.layers[0].keys.data_ptr())
        return found

    plain = host.run(places, title="Steps")
    assert len({*plain[1:]}) > 1, "transformers' own layer moves"
    with rooms():
        found = host.run(places, title="Steps")
    assert len({*found[1:]}) == 1


def test_where_all_places_are_taken_there_are_more(tiny_host: Callable[[str], Host]) -> None:
    host, sizes = tiny_host("llama"), []
    plain = generate(host, rows_of(host), SETTINGS)
    with rooms(places=5) as made, pytest.MonkeyPatch.context() as patch:
        lay_out = RoomyLayer._lay_out

        def noted(self: RoomyLayer, size: int) -> None:
            sizes.append(size)
            lay_out(self, size)

        patch.setattr(RoomyLayer, "_lay_out", noted)
        found = generate(host, rows_of(host), SETTINGS)
    assert [reply.ids for reply in found] == [reply.ids for reply in plain]
    assert len(sizes) >= 4 * len(made), "laid out anew again and again"
    assert sizes == sorted(sizes)


def test_rows_that_come_and_go_get_what_they_get_alone(tiny_host: Callable[[str], Host]) -> None:
    host = tiny_host("llama")
    first, second, third = rows_of(host)[:3]
    few, many = DecodeSettings(max_new_tokens=12), DecodeSettings(max_new_tokens=TOKENS)
    alone = [generate(host, [row], each)[0].ids for row, each in ((first, few), (second, many), (third, many))]

    def work(job: Any) -> tuple[list[Any], int]:
        one = Running.begin(host, [first], [few])
        states, roomy = [*one.states], 0
        for _ in range(6):
            one.step()
        other = Running.begin(host, [second, third], [many, many])
        for _ in range(3):
            other.step()
        for each in (one, other):
            assert each.is_plain
            assert type(each.cache.layers[0]) is RoomyLayer
        states += other.states
        one.take_in(other)
        assert type(one.cache.layers[0]) is not RoomyLayer
        while not all(state.finish for state in states):
            one.step()
            roomy += type(one.cache.layers[0]) is RoomyLayer
            one.keep([n for n, state in enumerate(one.states) if not state.finish] or [0])
        return [tuple(state.ids) for state in states], roomy

    with rooms() as made:
        found, roomy = host.run(work, title="Steps")
    assert found == alone
    assert roomy > 10
    assert len(made) == 4 * host.info.blocks  # for one row, for two, for all three, and for the two that are left


def test_what_was_read_from_a_cache_before_stays(tiny_host: Callable[[str], Host]) -> None:
    """Whoever keeps keys of an earlier step has those, and a cache that copies again leaves the room alone."""
    host = tiny_host("llama")

    def work(job: Any) -> None:
        running = Running.begin(host, rows_of(host), [SETTINGS] * len(rows_of(host)))
        for _ in range(4):
            running.step()
        layer = running.cache.layers[1]
        kept, before = layer.keys, layer.keys.clone()
        assert type(layer) is RoomyLayer
        free = 1e30  # and nobody reads what stands where no token is yet
        layer._all_keys[:, :, kept.shape[2] :] = free
        loose, trial = without_room(running.cache), deepcopy(layer)
        for each in (loose.layers[1], trial):  # a step is tried on a copy
            more, _ = each.update(torch.ones_like(kept[:, :, :1]), torch.ones_like(kept[:, :, :1]))
            assert torch.equal(more[:, :, :-1], before)
            assert bool((more[:, :, -1] == 1).all())
        assert bool((layer._all_keys[:, :, kept.shape[2] :] == free).all())
        assert loose.layers[1].keys.shape[2] == kept.shape[2] + 1
        assert running.step() > 0
        assert torch.equal(kept, before)
        assert running.cache.layers[1].keys.shape[2] == kept.shape[2] + 1
        assert without_room(loose) is loose

    with rooms():
        host.run(work, title="Steps")


def test_small_batches_and_caches_of_other_kinds_get_none(tiny_host: Callable[[str], Host]) -> None:
    llama = tiny_host("llama")
    with rooms(least=cache_room.LEAST) as made:
        generate(llama, rows_of(llama), SETTINGS)
    assert not made, "a few rows of a tiny model"

    def room_of(host: Host) -> Any:
        def work(job: Any) -> Any:
            prompts = [render(host, text) for text in TEXTS[:2]]
            cache = read_prompts(host, Batch.of(host, prompts), Schedule(host, [(), ()])).cache
            return with_room(cache, 10)

        return host.run(work, title="Room")

    with rooms():
        assert room_of(llama) is not None
        assert room_of(tiny_host("gemma2")) is None  # a window's layer forgets
        assert with_room(None, 10) is None


def test_where_there_is_no_memory_for_it_steps_go_on(tiny_host: Callable[[str], Host]) -> None:
    host = tiny_host("llama")
    plain = generate(host, rows_of(host), SETTINGS)

    def full(*given: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    with rooms() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_room, "laid_out", full)
        found = generate(host, rows_of(host), SETTINGS)
    assert not made
    assert [reply.ids for reply in found] == [reply.ids for reply in plain]
