"""What a crosscoder's feature does to the model that it is said to be of: what it writes is taken out of the states,
and the next token's distribution is compared.

The passes begin behind the edited place, from the states that both models have there, since the activations of a
crosscoder depend on both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.sites import Place, ReadPlace
from steering.passes.exact import divergence
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.split_batches import Start
from steering.passes.tracing import read_prompts, starts
from steering.studies.dictionaries.corpus import Ids, prompts_of
from steering.studies.dictionaries.crosscoders import Crosscoder
from steering.studies.dictionaries.states import TokenStates


_TEXTS = 8
"""Held-out texts in which a feature is most active, up to the token where it is."""


@dataclass(frozen=True)
class Effect:
    """What taking a feature out of its own model does where it is most active; means over `n` tokens, nats."""

    without: float
    """KL(as it is || without the feature)."""
    random: float
    """The same for a random direction of equal length at every token."""
    other: float
    """KL(the other model || as it is)."""
    other_without: float
    """KL(the other model || without the feature): less than `other` where the feature is of what sets them apart."""
    n: int


def start_of(host: Host, place: Place) -> int | None:
    """The block from which a pass can begin with edited states; None where it cannot."""
    block, site = place
    start = {"block_input": block, "block_output": block + 1}.get(site)
    if start is None or not 0 < start < host.info.blocks or not host.sites.linked:
        return None
    return start if starts(host) else None


def effects(
    hosts: tuple[Host, Host],
    crosscoder: Crosscoder,
    place: Place,
    texts: Sequence[Ids],
    states: TokenStates,
    peaks: Tensor,
    chosen: Sequence[tuple[int, int]],
    *,
    seed: int = 0,
    report: Callable[[int], None] = lambda done: None,
) -> list[Effect]:
    """Measure some features. Call on the model thread.

    Args:
        hosts: Both models, in the crosscoder's order; a pass can begin behind the place in each.
        crosscoder: Whose features.
        place: Where its states are.
        texts: The held-out texts.
        states: Of them; says which token is whose.
        peaks: Where each is most active, (chosen, rank); -1 behind the last.
        chosen: Feature and own model of each.
        seed: Of the random directions.
        report: Told of the number of features done.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for index, (feature, own) in enumerate(chosen):
        tokens = _of_texts(peaks[index].tolist(), states.text)
        drawn = torch.randn(crosscoder.decoder.shape[-1], generator=generator)
        prompts = [texts[int(states.text[token])][: int(states.place[token]) + 1] for token in tokens]
        found.append(_effect(hosts, crosscoder, place, prompts, feature, own, drawn / drawn.norm()))
        report(index + 1)
    return found


def _of_texts(tokens: Sequence[int], text: Tensor) -> list[int]:
    """The first of some tokens, at most one a text."""
    found: dict[int, int] = {}
    for token in tokens:
        if token >= 0 and len(found) < _TEXTS:
            found.setdefault(int(text[token]), token)
    return list(found.values())


def _effect(
    hosts: tuple[Host, Host],
    crosscoder: Crosscoder,
    place: Place,
    texts: Sequence[Ids],
    feature: int,
    own: int,
    random: Tensor,
) -> Effect:
    prompts = prompts_of(texts)
    if not prompts:
        nothing = float("nan")
        return Effect(nothing, nothing, nothing, nothing, 0)
    host, start = hosts[own], start_of(hosts[own], place)
    assert start is not None
    batch = Batch.of(host, prompts)
    read = [_read(each, batch, place) for each in hosts]
    whole = [states.float().cpu() for states, _ in read]
    activations = crosscoder.encode(torch.stack([each.flatten(0, 1) for each in whole]))[:, feature]
    covered = batch.real.clone()
    covered[torch.arange(len(prompts)), batch.first] = False  # first tokens were left out of the training
    written = (activations.reshape(batch.ids.shape) * covered)[..., None] * crosscoder.decoder[own, feature]
    edits = (written, written.norm(dim=-1, keepdim=True) * random)
    after = []
    for edit in edits:
        states = (whole[own] - edit).to(read[own][0])
        schedule = Schedule(host, [()] * len(prompts))
        after.append(read_prompts(host, batch, schedule, start=Start(start, states)).logits)
    plain, other = read[own][1], read[1 - own][1].to(read[own][1].device)
    pairs = ((plain, after[0]), (plain, after[1]), (other, plain), (other, after[0]))
    without, by_random, apart, apart_without = (float(divergence(p, q).mean()) for p, q in pairs)
    return Effect(without, by_random, apart, apart_without, len(prompts))


def _read(host: Host, batch: Batch, place: Place) -> tuple[Tensor, Tensor]:
    """States at a place, (row, position, width), and logits behind the last token, (row, vocabulary)."""
    kept: list[Tensor] = []

    def read(_: ReadPlace, states: Tensor) -> None:
        kept.append(states.clone())

    schedule = Schedule(host, [()] * len(batch.ids))
    forward = read_prompts(host, batch, schedule, read=read, places=[place])
    return kept[0], forward.logits
