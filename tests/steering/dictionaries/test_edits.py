"""Edits of features: what the dictionary does not explain stays, and replies are those of plain hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.edits import EditFeatures, Replace, switched_off, write_of
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.extraction.features import typical_maxima
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate, next_token_logits
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Add
from steering.writes.stacking import Stacks
from steering.writes.words import operation_words


TEXTS = ("Write a note to my boss about the meeting.", "Hello.", "What is two plus three?")
TOKENS = 10


@pytest.fixture(scope="module")
def sae() -> Dictionary:
    return load_dictionary("demo/block-3-sae")


@pytest.fixture(scope="module")
def transcoder() -> Dictionary:
    return load_dictionary("demo/block-3-transcoder")


@pytest.fixture(scope="module")
def busy(demo: Host, sae: Dictionary, transcoder: Dictionary) -> Callable[[Dictionary], list[int]]:
    """Features by how often they are active on the texts, those of nearly every token left out, and their maxima."""
    replied = [(render(demo, text), ()) for text in TEXTS]

    def of(dictionary: Dictionary) -> list[int]:
        maxima, counts = typical_maxima(demo, dictionary, range(dictionary.n_features), replied)
        tokens = sum(len(prompt) - 1 for prompt, _ in replied)
        order = counts.argsort(descending=True).tolist()
        return [n for n in order if 3 <= counts[n] < tokens / 2 and maxima[n] > 0][:6]

    return of


def _states(host: Host, dictionary: Dictionary) -> tuple[Tensor, Tensor]:
    """What it reads and what stands where it gives, on the first text, without the first token."""
    kept: dict[Any, Tensor] = {}
    batch = Batch.of(host, [render(host, TEXTS[0])])
    host.run(
        lambda job: read_prompts(
            host,
            batch,
            Schedule(host, [()]),
            read=lambda place, x: kept.update({place: x[0, 1:]}),
            places=[dictionary.reads, dictionary.gives] if dictionary.kind == "transcoder" else [dictionary.gives],
        ),
        title="read",
    )
    return kept[dictionary.reads], kept[dictionary.gives]


def test_an_edit_adds_decoder_rows_and_leaves_the_rest_of_the_state(demo, sae, transcoder, busy) -> None:
    for dictionary in (sae, transcoder):
        read, given = _states(demo, dictionary)
        features = tuple(busy(dictionary)[:2])
        # Independently: by sae-lens' own dense encoding and decoder.
        before = dictionary.sae.encode(read)[:, list(features)]
        rows = dictionary.sae.W_dec[list(features)]
        assert (before > 0).any(dim=0).all()
        for kind, after in {
            "set": torch.tensor([2.0, 0.5]).expand_as(before),
            "scale": before * torch.tensor([2.0, 0.5]),
            "floor": before.clamp(min=torch.tensor([2.0, 0.5])),
            "ceil": before.clamp(max=torch.tensor([2.0, 0.5])),
        }.items():
            edit = EditFeatures(dictionary, features, (2.0, 0.5), kind)  # type: ignore[arg-type]
            seen = read if dictionary is transcoder else None
            moved = edit.beside(given, seen) - given
            assert moved.abs().max() > 0.01
            # Sums of two products of numbers near 1 beside states up to 30: 1e-4 is float32's own rounding.
            torch.testing.assert_close(moved, (after - before) @ rows, rtol=1e-3, atol=1e-4)


def test_a_feature_that_keeps_its_own_value_changes_nothing_to_the_bit(demo, sae, transcoder, busy) -> None:
    for dictionary in (sae, transcoder):
        read, given = _states(demo, dictionary)
        features = tuple(busy(dictionary)[:3])
        seen = read if dictionary is transcoder else None
        same = EditFeatures(dictionary, features, (1.0,) * 3, "scale").beside(given, seen)
        assert torch.equal(same, given)
        own = dictionary.activations(read, features)
        for token in range(len(given)):  # clamped to what it is there anyway
            values = tuple(own[token].tolist())
            part = slice(token, token + 1)
            clamped = EditFeatures(dictionary, features, values).beside(
                given[part], None if seen is None else seen[part]
            )
            torch.testing.assert_close(clamped, given[part], rtol=0, atol=1e-5)  # a batch of another size rounds anew
        prompts = [render(demo, text) for text in TEXTS]
        edit = write_of(EditFeatures(dictionary, features, (1.0,) * 3, "scale"))
        floor = write_of(EditFeatures(dictionary, features, (0.0,) * 3, "floor"))
        rows = [Row(prompt, plan) for prompt in prompts for plan in ((), (edit,), (floor,))]
        said = next_token_logits(demo, rows).unflatten(0, (3, 3))
        assert torch.equal(said[:, 0], said[:, 1])
        assert torch.equal(said[:, 0], said[:, 2])


@contextmanager
def _hooked(model: Any, dictionary: Dictionary, feature: int, value: float) -> Iterator[None]:
    """One feature clamped on the bare model: an autoencoder's behind its block, a transcoder's behind the MLP."""
    layer = model.model.layers[dictionary.gives[0]]

    def change(module: Any, args: Any, output: Tensor) -> Tensor:
        read = args[0] if dictionary.kind == "transcoder" else output
        own = dictionary.sae.encode(read)[..., feature]
        return output + (value - own)[..., None] * dictionary.sae.W_dec[feature]

    handle = (layer.mlp if dictionary.kind == "transcoder" else layer).register_forward_hook(change)
    try:
        yield
    finally:
        handle.remove()


def _greedy(host: Host, ids: tuple[int, ...]) -> tuple[int, ...]:
    """Of the bare model, which reads the whole text anew at every token; end tokens count as any other."""
    text = list(ids)
    with torch.no_grad():
        for _ in range(TOKENS):
            text.append(int(host.model._module(torch.tensor([text])).logits[0, -1].argmax()))
            if text[-1] in host.end_ids:
                break
    return tuple(token for token in text[len(ids) :] if token not in host.end_ids)


def _said(host: Host, rows: list[Row]) -> list[tuple[int, ...]]:
    replies = generate(host, rows, DecodeSettings(max_new_tokens=TOKENS))
    return [tuple(token for token in reply.ids if token not in host.end_ids) for reply in replies]


def test_rows_of_a_mixed_batch_are_written_as_by_a_hook_at_every_step(demo, sae, transcoder, busy) -> None:
    prompts = [render(demo, text) for text in TEXTS]
    cases = [(each, feature, 20.0) for each in (sae, transcoder) for feature in busy(each)[:2]]
    rows, wanted = [Row(prompt) for prompt in prompts], [_greedy(demo, prompt.ids) for prompt in prompts]
    for n, (dictionary, feature, value) in enumerate(cases):
        prompt = prompts[n % 3]
        rows.append(Row(prompt, (write_of(EditFeatures(dictionary, (feature,), (value,))),)))
        with _hooked(demo.model._module, dictionary, feature, value):
            wanted.append(_greedy(demo, prompt.ids))
    said = _said(demo, rows)
    assert said == wanted
    assert sum(own != said[n % 3] for n, own in enumerate(said[3:])) >= 2  # edits do change replies


def test_an_edit_stacks_with_a_vector_and_keeps_scope_and_gate(demo, sae, busy) -> None:
    prompt = render(demo, TEXTS[0])
    direction = torch.nn.functional.normalize(torch.randn(192, generator=torch.Generator().manual_seed(1)), dim=0)
    edit = EditFeatures(sae, (busy(sae)[0],), (20.0,))
    push = Write(Add(direction, 4.0), 3, "block_output")
    never, always = (Gate(direction, 1e6, 1, "block_output", side) for side in ("above", "below"))
    plans = [
        (),
        (write_of(edit),),
        (push, write_of(edit)),
        (push,),
        (write_of(edit, gate=never),),
        (write_of(edit, gate=always),),
        (write_of(edit, scope="generated"),),
    ]
    found = next_token_logits(demo, [Row(prompt, plan) for plan in plans])
    plain, edited, both, pushed, shut, opened, later = found
    assert (edited - plain).abs().max() > 0.1
    assert torch.equal(shut, plain)
    torch.testing.assert_close(opened, edited, rtol=1e-5, atol=1e-4)
    assert torch.equal(later, plain)  # nothing is generated yet
    with _hooked(demo.model._module, sae, edit.features[0], 20.0), torch.no_grad():
        # The hook of the addition must come first, so it is put on the next thing before: the block's MLP output.
        add = demo.model._module.model.layers[3].mlp.register_forward_hook(lambda m, a, out: out + 4.0 * direction)
        bare = demo.model._module(torch.tensor([prompt.ids])).logits[0, -1]
        add.remove()
    torch.testing.assert_close(both, bare, rtol=1e-4, atol=1e-3)
    assert (both - pushed).abs().max() > 0.1


def test_an_mlp_is_replaced_by_its_transcoder_in_some_rows(demo, transcoder) -> None:
    prompt = render(demo, TEXTS[0])
    scope = tuple(range(1, len(prompt)))  # not the first token, which its training left out
    found = next_token_logits(demo, [Row(prompt), Row(prompt, (write_of(Replace(transcoder), scope),))])

    def change(module: Any, args: Any, output: Tensor) -> Tensor:
        made = transcoder.sae.decode(transcoder.sae.encode(args[0]))
        return torch.cat([output[:, :1], made[:, 1:]], dim=1)

    handle = demo.model._module.model.layers[3].mlp.register_forward_hook(change)
    with torch.no_grad():
        bare = demo.model._module(torch.tensor([prompt.ids])).logits[0, -1]
    handle.remove()
    torch.testing.assert_close(found[1], bare, rtol=1e-4, atol=1e-3)
    apart = (found[1] - found[0]).abs().max()
    assert 0.001 < apart < 2 * found[0].std()  # it stands in well, and not by doing nothing


def test_rows_that_each_edit_features_of_their_own_are_written_as_one_and_as_each_alone(
    demo, sae, transcoder, busy
) -> None:
    for dictionary in (sae, transcoder):
        one, two, three, *_ = busy(dictionary)
        edits = [
            EditFeatures(dictionary, (one,), (8.0,)),
            EditFeatures(dictionary, (three, one), (1.0, 4.0)),
            EditFeatures(dictionary, (two,), (3.0,), "floor"),
            EditFeatures(dictionary, (two, three), (0.5, 2.0), "floor"),
            switched_off(dictionary, (one, two)),
            switched_off(dictionary, (three,)),
        ]
        rows = [(row, edit) for row, edit in enumerate(edits)]
        stacked = Stacks().of(rows)
        assert [places for places, _ in stacked] == [[0, 1], [2, 3], [4, 5]]
        read, given = _states(demo, dictionary)
        seen = read.expand(2, -1, -1) if dictionary is transcoder else None
        for places, operation in stacked:
            assert operation.reads == edits[0].reads
            found = operation.beside(given.expand(2, -1, -1), seen)
            alone = [edits[place].beside(given, None if seen is None else read) for place in places]
            torch.testing.assert_close(found, torch.stack(alone), rtol=1e-5, atol=1e-5)
            assert not torch.equal(found[0], found[1])
        same = [EditFeatures(dictionary, (each,), (1.0,), "scale") for each in (one, two)]
        ((_, nothing),) = Stacks().of(list(enumerate(same)))
        assert torch.equal(nothing.beside(given.expand(2, -1, -1), seen), given.expand(2, -1, -1))


def test_half_precision_is_edited_in_float32(sae, demo) -> None:
    read, _ = _states(demo, sae)
    edit = EditFeatures(sae, (5, 9), (3.0, 1.0))
    halved = read.to(torch.bfloat16)
    from steering.passes.schedule import _apply

    wanted = edit(halved.float()).to(torch.bfloat16)
    assert torch.equal(_apply(edit, halved, None), wanted)
    assert wanted.dtype == torch.bfloat16


def test_what_they_do_is_said(sae, transcoder) -> None:
    assert (
        operation_words([EditFeatures(sae, (5,), (3.0,))])
        == "clamp feature 5 of demo/block-3-sae to an activation of 3"
    )
    assert operation_words([switched_off(sae, [5, 9])]) == "switch features 5, 9 of demo/block-3-sae off"
    assert operation_words([EditFeatures(sae, (5, 9), (2.0, 3.0), "floor")]) == (
        "keep features 5, 9 of demo/block-3-sae from falling below an activation of 2 and 3"
    )
    assert operation_words([Replace(transcoder)]) == (
        "replace the state by the stand-in for the MLP of demo/block-3-transcoder"
    )
    named = EditFeatures(replace(sae, name="{odd}"), (5,), (3.0,), "scale")
    assert operation_words([named]) == "multiply feature 5 of {odd} by 3"


def test_what_cannot_be_right_is_refused(sae, transcoder) -> None:
    for features, values in (((), ()), ((5, 5), (1.0, 1.0)), ((5,), (1.0, 2.0))):
        with pytest.raises(SteeringError, match="each once, with a value each"):
            EditFeatures(sae, features, values)
    with pytest.raises(SteeringError, match="a number from 0 to 1023"):
        EditFeatures(sae, (1024,), (1.0,))
    with pytest.raises(SteeringError, match="a finite number"):
        EditFeatures(sae, (5,), (float("nan"),))
    with pytest.raises(SteeringError, match="one of set, floor, ceil, scale"):
        EditFeatures(sae, (5,), (1.0,), "add")  # type: ignore[arg-type]
    with pytest.raises(SteeringError, match="given no states of block 3, mlp_input"):
        EditFeatures(transcoder, (5,), (1.0,))(torch.zeros(1, 192))
    temporal = replace(sae, architecture="temporal")
    for make in (lambda: EditFeatures(temporal, (5,), (1.0,)), lambda: Replace(temporal)):
        with pytest.raises(SteeringError, match="a dictionary that reads each token by itself"):
            make()
