"""A model whose weights lie in memory and on the disk is the model: same texts, vectors, gradients and checks."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.loading.options import LoadOptions
from steering.loading.placement import fetched, memory_of, offloaded
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.gradients import stream_gradients
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.passes.tracing import starts
from steering.recipes.orthogonal import orthogonalised
from steering.selfcheck import self_check
from steering.vectors.card import nearest_tokens
from steering.writes.interventions import Write
from steering.writes.operations import Ablate, Add
from tests.conftest import tiny_model
from tests.loading_support import saved
from tests.steering.extraction.test_extraction import sets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(deepcopy(tiny_model("llama")), tmp_path_factory.mktemp("placed") / "model")


@pytest.fixture(scope="module")
def whole(folder, lane) -> Host:
    return Host.load(str(folder), lane=lane)


@pytest.fixture(scope="module", params=["cpu=300kB", "cpu=1kB"])
def divided(folder, lane, request) -> Host:
    """The embedding in memory and blocks on the disk, and all of it there."""
    options = LoadOptions(device_map="auto", max_memory=request.param)
    return Host.load(str(folder), lane=lane, options=options)


def test_the_page_says_where_the_weights_lie(divided, whole) -> None:
    assert offloaded(divided.model._module)
    assert any(weight.is_meta for weight in divided.model._module.parameters())
    places = divided.info.device.split(" + ")
    assert set(places) in ({"cpu", "disk"}, {"disk"})
    said = next(note for note in divided.info.notes if note.startswith("Weights lie"))
    assert "the disk" in said
    assert ("main memory" in said) == ("cpu" in places)
    assert "fetched for every pass" in said
    assert whole.info.device == "cpu"
    assert not any("Weights lie" in note for note in whole.info.notes)


def test_texts_vectors_and_gradients_are_those_of_the_undivided_model(divided, whole) -> None:
    vector, other = (extract(host, sets(), name="tone") for host in (whole, divided))
    assert torch.equal(vector.directions, other.directions)
    plan = (
        Write(Add(vector.directions[1], 8.0), 1, "block_output"),
        Write(Ablate(vector.directions[2]), 2, "mlp_output"),
    )
    prompt = render(whole, "Write to my boss.")
    settings = DecodeSettings(max_new_tokens=6)
    here, there = ([x.text for x in generate(h, [Row(prompt), Row(prompt, plan)], settings)] for h in (whole, divided))
    assert here == there
    assert here[0] != here[1]
    assert whole.run(lambda job: starts(whole), title="test")
    assert divided.run(lambda job: starts(divided), title="test")
    slopes = [
        host.run(
            lambda job, host=host: next(stream_gradients(host, [prompt], (1, "block_output"), lambda x: x[:, 5])),
            title="test",
        ).slopes
        for host in (whole, divided)
    ]
    assert slopes[0].abs().max() > 0
    torch.testing.assert_close(slopes[0], slopes[1])


def test_weights_are_found_for_whoever_reads_them_outside_of_a_pass(divided, whole) -> None:
    name, other = (host.info.name for host in (whole, divided))
    assert name == other
    assert fingerprint(divided) == fingerprint(whole)
    for name, weight in whole.model._module.state_dict().items():
        assert torch.equal(fetched(divided.model._module, name), weight)
    vector = extract(whole, sets(), name="tone")
    assert nearest_tokens(divided, vector) == nearest_tokens(whole, vector)
    assert any(weight.is_meta for weight in divided.model._module.parameters())  # and put back again


@pytest.mark.parametrize("divided", ["cpu=1kB"], indirect=True)
def test_the_self_check_passes(divided) -> None:
    outcomes = {check.name: check.outcome for check in self_check(divided)}
    assert len(outcomes) > 5
    assert "fail" not in outcomes.values()
    assert not divided.warnings


def test_what_needs_all_weights_at_once_is_refused(divided) -> None:
    with pytest.raises(SteeringError, match="copy with edited weights needs all at once"):
        orthogonalised(divided, torch.eye(32)[0])


def test_memory_is_read_as_people_type_it_and_needs_a_device_map(folder, lane) -> None:
    assert memory_of("0=20GB, cuda:1=1.5GiB,cpu=300kB") == {0: 20 * 10**9, 1: 15 * 10**8, "cpu": 300_000}
    assert memory_of(None) == {}
    for text in ("20GB", "cpu=lots", "cpu=1GB;disk=2"):
        with pytest.raises(SteeringError, match="such as 0=20GB"):
            memory_of(text)
    with pytest.raises(SteeringError, match="--device-map auto"):
        Host.load(str(folder), lane=lane, options=LoadOptions(max_memory="cpu=1GB"))
