"""Two processes that divide a model's matrices write what one process writes, and the self-check says what is whole."""

from __future__ import annotations

import json
import socket
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from steering.errors import SteeringError
from steering.loading import tensor_parallel
from steering.loading.options import LoadOptions
from steering.loading.tensor_parallel import dividing
from steering.model.host import Host
from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import Intervention, Recipe
from steering.studies import STUDIES
from steering.vectors.files import save_vector
from tests.conftest import tiny_model
from tests.loading_support import saved
from tests.programs import Program
from tests.steering.loading.divided import LENGTH, found_of
from workbench.cli.options import load_defaults, load_host
from workbench.model_slot import ModelSlot


DIVIDED = """
import os, sys
from pathlib import Path
os.dup2(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT), 2)  # what else it says
from tests.steering.loading.divided import main
main(Path(sys.argv[1]))
"""


def _start(folder: Path, rank: int, port: int) -> Program:
    """One of two processes, as torchrun starts them."""
    told: dict[str, object] = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1"}
    told |= {"MASTER_PORT": port, "STEERING_WORKBENCH_HOME": folder.parent / "home"}
    out, beside = folder.parent / f"said-{rank}", folder.parent / f"beside-{rank}"
    return Program(DIVIDED, folder, beside, said=out, **told)


def test_two_processes_write_what_one_writes(tmp_path, lane) -> None:
    folder = saved(deepcopy(tiny_model("llama")), tmp_path / "model")
    whole = Host.load(str(folder), lane=lane)
    expected, vector = found_of(whole)
    assert expected["plain"] != expected["steered"]
    save_vector(vector, tmp_path / "tone.safetensors")
    each = Intervention(vector=str(tmp_path / "tone.safetensors"), blocks=(1,), strength=90.0, unit="raw")
    (tmp_path / "recipe.json").write_text(
        Recipe(interventions=(each,), decode=DecodeSettings(max_new_tokens=LENGTH)).to_json()
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [_start(folder, rank, port) for rank in (0, 1)]
    try:
        ended = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.end()
    assert [code for code, _ in ended] == [0, 0], [(tmp_path / f"beside-{rank}").read_text() for rank in (0, 1)]
    first, second = (json.loads((tmp_path / f"found-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    for name in ("plain", "steered"):
        assert first[name] == expected[name]
    for name in ("logits", "direction"):
        torch.testing.assert_close(torch.tensor(first[name]), torch.tensor(expected[name]), rtol=1e-4, atol=1e-4)
    assert first["fingerprint"] == expected["fingerprint"]
    assert first["device"] == "2 × cpu"
    assert first["part"] == 16  # of 32 rows
    assert "fail" not in first["checks"].values()
    assert first["checks"]["processes"] == "pass"
    assert first["checks"]["threads"] == "not applicable"
    # The command: one process speaks, and one run is kept.
    replies = json.loads(ended[0][1].splitlines()[-1])["replies"]
    assert [len(reply["ids"]) for reply in replies] == [LENGTH, LENGTH]
    assert replies[0]["ids"] != replies[1]["ids"]
    assert not ended[1][1].strip()
    assert len(list((tmp_path / "home" / "runs").glob("*/run.json"))) == 1


def test_what_cannot_be_divided_is_refused_before_anything_is_loaded(tmp_path, tiny_host, monkeypatch) -> None:
    config = tiny_host("llama").model._module.config

    def refused(words: str, options: LoadOptions, given=config, **beside) -> None:
        with pytest.raises(SteeringError, match=words):
            dividing("tiny", given, options, **beside)

    two = LoadOptions(tensor_parallel=2)
    refused("2 processes was asked for, and 1 is running.*torchrun --nproc-per-node 2", two)
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused("together with device map", LoadOptions(tensor_parallel=2, device_map="auto"))
    refused("together with GGUF", two, GGUF="model.gguf")
    refused("no plan for dividing 'tiny' \\(gpt2\\)", two, given=tiny_host("gpt2").model._module.config)
    monkeypatch.setenv("WORLD_SIZE", "3")
    refused("3 parts: num_attention_heads is 4", LoadOptions(tensor_parallel=3))
    assert dividing("tiny", config, LoadOptions()) == {}
    with pytest.raises(SteeringError, match="steer and selfcheck, or a script"):
        load_host("demo", {**load_defaults(), "tensor_parallel": 2})


def test_a_divided_model_stands_on_no_page_and_in_no_study(tiny_host, monkeypatch) -> None:
    study = STUDIES["grid"]

    host = tiny_host("llama")
    monkeypatch.setattr(tensor_parallel, "parts", lambda model: 2)
    with pytest.raises(SteeringError, match="A page was asked for with tensor parallelism"):
        ModelSlot(host.lane).put(host)
    with pytest.raises(SteeringError, match="The study 'grid'"):
        study.start(host, study.settings())
