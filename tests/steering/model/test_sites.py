"""Sites: found in every architecture, and really what enters the residual stream."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from steering.errors import SteeringError
from steering.model.prompts import render
from steering.model.residual import find_sites
from steering.model.sites import SITES
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from tests.conftest import ARCHITECTURES, tiny_model


def read(host, text: str) -> dict:
    batch = Batch.of(host, [render(host, text)])
    places = [(block, site) for block in range(host.info.blocks) for site in SITES]
    states = {}
    schedule = Schedule(host, [()])
    host.run(
        lambda job: read_prompts(host, batch, schedule, read=lambda p, x: states.update({p: x.clone()}), places=places),
        title="read",
    )
    return states


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_has_all_four_sites_and_they_add_up(architecture, tiny_host) -> None:
    host = tiny_host(architecture)
    assert host.sites.available == SITES
    assert host.info.blocks == 4
    assert host.info.width == 32
    states = read(host, "Write a review of the hotel.")
    for block in range(4):
        before, attention, mlp, after = (states[block, site] for site in SITES)
        assert attention.norm() > 1e-3
        assert mlp.norm() > 1e-3
        # float32 sums in another order: 1e-4 of values near 1 to 100
        torch.testing.assert_close(before + attention + mlp, after, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_block_indices_agree_with_hugging_face_hidden_states_but_for_the_normalised_last(
    architecture, tiny_host
) -> None:
    host = tiny_host(architecture)
    states = read(host, "Write a review of the hotel.")
    ids = torch.tensor([render(host, "Write a review of the hotel.").ids])
    with torch.no_grad():
        hidden = tiny_model(architecture)(ids, output_hidden_states=True).hidden_states
    for block in range(3):
        torch.testing.assert_close(states[block, "block_output"], hidden[block + 1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(states[3, "block_output"], hidden[4], rtol=1e-2, atol=1e-2)


class Unknown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Module()
        self.tower.stages = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.tower.spare = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.words = nn.Embedding(50, 4)

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        states = self.words(input_ids)
        for stage in self.tower.stages:
            states = stage(states)
        return states


class Plain(Unknown):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.words(input_ids)


def test_an_unknown_architecture_is_searched_by_what_a_pass_runs_and_says_how_to_name_its_blocks() -> None:
    sites = find_sites(Unknown(), n_blocks=5)  # its configuration counts otherwise; the spare list is not run
    assert (sites.blocks_path, sites.n_blocks, sites.linked) == ("tower.stages", 3, True)
    assert sites.available == ("block_input", "block_output")
    assert "add up" in sites.uncovered  # a matrix is no sum
    with pytest.raises(SteeringError, match=r"No list of 3 blocks that a pass.*tower\.stages \(3\).*blocks="):
        find_sites(Plain(), n_blocks=3)
    with pytest.raises(SteeringError, match=r"No list of 5 blocks that a pass.*tower\.spare \(3\)"):
        find_sites(Unknown(), n_blocks=5, blocks_path="tower.spare")
    with pytest.raises(SteeringError, match=r"'tower\.layers' is not a list of blocks.*tower\.stages"):
        find_sites(Unknown(), n_blocks=5, blocks_path="tower.layers")


class Looking(Unknown):
    """Every token sees all others."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        states = self.words(input_ids)
        states = states + states.mean(dim=1, keepdim=True)
        for stage in self.tower.stages:
            states = stage(states)
        return states


class Aside(Unknown):
    """Its stages stand side by side."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return sum(stage(self.words(input_ids) * (place + 1)) for place, stage in enumerate(self.tower.stages))


def test_what_holds_no_stream_of_its_own_is_refused_by_what_it_is() -> None:
    with pytest.raises(SteeringError, match="lets a token see those behind it"):
        find_sites(Looking(), n_blocks=3)
    with pytest.raises(SteeringError, match="is given what the one before it gave"):
        find_sites(Aside(), n_blocks=3)


def test_a_site_or_block_that_is_not_there_is_refused(tiny_host) -> None:
    sites = tiny_host("llama").sites
    with pytest.raises(SteeringError, match="one of block_input"):
        sites.check("middle")
    with pytest.raises(SteeringError, match="from 0 to 3"):
        sites.check_block(-1)
