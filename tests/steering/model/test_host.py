"""Loading: what was loaded is said, and what cannot be loaded is explained."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from steering.errors import SteeringError
from steering.loading.checkpoints import Checkpoint
from steering.loading.demo_models import demo_models
from steering.loading.loader import DTYPES, locate
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.resources import resource


@pytest.fixture
def folder(tmp_path):
    """A copy of the demo model as a local folder."""
    return shutil.copytree(resource("assets", "models", "demo"), tmp_path / "model")


def test_the_demo_model_says_what_it_is(demo) -> None:
    info = demo.info
    parameters = sum(p.numel() for p in demo.model._module.parameters())
    assert info.demo
    assert info.architecture == "Llama"
    assert 3e6 <= parameters == info.parameters <= 8e6
    assert info.memory_bytes >= 4 * parameters  # float32 on a CPU
    assert info.dtype == "float32" if info.device == "cpu" else True
    assert info.chat_template
    for part in (
        "Llama",
        f"{info.blocks} blocks × {info.width}",
        "parameters",
        info.device,
        info.dtype,
        "chat template",
    ):
        assert part in info.summary


def test_a_local_folder_loads_by_the_same_door(folder, demo, lane) -> None:
    host = Host.load(str(folder), lane=lane)
    assert host.info.source == "folder"
    assert not host.info.demo
    assert host.info.parameters == demo.info.parameters


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_the_users_choice(dtype, lane) -> None:
    host = Host.load("demo", lane=lane, options=LoadOptions(dtype=dtype))
    assert host.info.dtype == dtype
    assert next(host.model._module.parameters()).dtype == DTYPES[dtype]


def test_device_map_places_the_model(lane) -> None:
    host = Host.load("demo", lane=lane, options=LoadOptions(device_map="cpu"))
    assert host.info.device == "cpu"


def test_unknown_names_and_folders_without_a_model_are_explained(tmp_path, folder, lane) -> None:
    with pytest.raises(
        SteeringError, match=r"The model 'no-such-model' could not be loaded.*demo.*local folder.*Hub id"
    ):
        Host.load("no-such-model", lane=lane)
    with pytest.raises(SteeringError, match="No model was named"):
        Host.load(" ", lane=lane)
    with pytest.raises(SteeringError, match="There is no folder"):
        Host.load("/nowhere/at/all", lane=lane)
    with pytest.raises(SteeringError, match=r"has no config\.json"):
        Host.load(str(tmp_path), lane=lane)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    with pytest.raises(SteeringError, match=r"has no weights.*\.safetensors"):
        Host.load(str(folder), lane=lane)


def test_damaged_weights_an_unknown_architecture_and_foreign_code_are_explained(folder, lane) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SteeringError, match="is damaged"):
        Host.load(str(folder), lane=lane)
    weights.write_bytes(whole)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-type", "architectures": ["None"]}))
    with pytest.raises(SteeringError, match=r"of type 'no-such-type', which transformers .* does not know"):
        Host.load(str(folder), lane=lane)
    own_code = {"auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}, "model_type": "own"}
    (folder / "config.json").write_text(json.dumps(own_code))
    with pytest.raises(SteeringError, match="own Python code"):
        Host.load(str(folder), lane=lane)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "auto, float32"),
        ({"device": "toaster"}, "auto, cpu, cuda"),
        ({"quantisation": "3bit"}, "8bit or 4bit"),
        ({"blocks": "model.nothing"}, "is not a list of blocks"),
    ],
)
def test_wrong_options_are_explained(options, message, lane) -> None:
    with pytest.raises(SteeringError, match=message):
        Host.load("demo", lane=lane, options=LoadOptions(**options))


def test_quantisation_without_its_library_says_what_to_install(lane, monkeypatch) -> None:
    monkeypatch.setattr("steering.loading.quantised._installed", lambda package: False)
    with pytest.raises(SteeringError, match=r"pip install 'steering-workbench\[quantisation\]'"):
        Host.load("demo", lane=lane, options=LoadOptions(quantisation="8bit"))


def test_names_resolve_to_demo_folder_or_hub(folder) -> None:
    assert "demo" in demo_models()
    assert locate("demo").source == "demo"
    assert locate(str(folder)) == Checkpoint(str(folder), "folder")
    assert locate("someone/model") == Checkpoint("someone/model", "hub")


def test_running_out_of_memory_says_what_to_change(demo) -> None:
    def exhaust(job):
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(SteeringError, match="token budget"):
        demo.run(exhaust, title="big")
    assert demo.run(lambda job: 1, title="next") == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_greedy_text_as_the_cpu(demo, lane) -> None:
    from steering.model.prompts import render
    from steering.passes.decoding import generate
    from steering.passes.replies import DecodeSettings
    from steering.passes.rows import Row

    on_gpu = Host.load("demo", lane=lane, options=LoadOptions(device="cuda", dtype="float32"))
    on_cpu = Host.load("demo", lane=lane, options=LoadOptions(device="cpu"))
    texts = [
        generate(
            host,
            [Row(render(host, "Write a note to my boss about the meeting."))],
            DecodeSettings(max_new_tokens=20),
        )[0].text
        for host in (on_gpu, on_cpu)
    ]
    assert texts[0] == texts[1]
