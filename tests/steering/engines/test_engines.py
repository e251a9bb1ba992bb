"""Recipes for other engines: what is written does what the recipe does, and what cannot be told is refused by name."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.metadata import entry_points
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from steering.engines.block_edits import block_edits
from steering.engines.checkpoint import save_checkpoint
from steering.engines.llama_cpp import save_for_llama_cpp, sums
from steering.engines.parity import logits_under
from steering.engines.vllm import save_for_vllm
from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.recipes.plans import plan_of
from steering.recipes.recipe import GateSettings, Intervention, Recipe
from steering.vectors.gguf import load_gguf, written_rows
from tests.steering.extraction.test_extraction import sets


@pytest.fixture(scope="module")
def vectors(tiny_host) -> dict[str, Any]:
    tone = extract(tiny_host("llama"), sets(), name="tone")
    other = extract(tiny_host("llama"), sets(), name="other", method="random")
    return {"tone": tone, "other": other}


ADDS = (
    Intervention(vector="tone", blocks=(1, 2), strength=3.0),
    Intervention(vector="other", blocks=(2,), strength=-1.5, unit="residual_norm"),
)
ABLATION = Intervention(vector="tone", others=("other",), mode="ablate", blocks=(2, 3), strength=0.75)


def _plugin(folder) -> ModuleType:
    """The code of an export, as it lies there."""
    spec = importlib.util.spec_from_file_location("exported_edits", folder / "steering_edits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["exported_edits"] = module
    spec.loader.exec_module(module)
    return module


def _bare(host, ids: list[int]) -> Tensor:
    with torch.no_grad():
        return host.model._module(input_ids=torch.tensor([ids])).logits[0]


def test_the_exported_hooks_give_the_logits_of_the_recipe_on_the_plain_model(tiny_host, vectors, tmp_path) -> None:
    """Order matters: the ablation behind the addition at block 2 takes a part of it away."""
    host, recipe = tiny_host("llama"), Recipe(interventions=(*ADDS, ABLATION))
    folder = save_for_vllm(recipe, host, vectors, tmp_path / "out")
    plugin = _plugin(folder)
    edits = plugin.read(folder / "edits.safetensors")
    ids = list(range(5, 12))
    before = _bare(host, ids)
    handles = plugin.install(host.model._module, edits)
    found = _bare(host, ids)
    for handle in handles:
        handle.remove()
    assert torch.equal(_bare(host, ids), before)

    def edited(block: int) -> Any:
        """The same by hand, from the vectors."""
        tone, other = vectors["tone"], vectors["other"]

        def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            new = output
            if block in (1, 2):
                new = new + 3.0 * tone.mean_differences[block] * tone.directions[block]
            if block == 2:
                new = new - 1.5 * other.residual_norms[block] * other.directions[block]
            if block in (2, 3):
                basis = torch.linalg.qr(torch.stack([tone.directions[block], other.directions[block]]).T).Q
                new = new - 0.75 * (new @ basis) @ basis.T
            return new

        return hook

    by_hand = [host.model._module.model.layers[n].register_forward_hook(edited(n)) for n in (1, 2, 3)]
    expected = _bare(host, ids)
    for handle in by_hand:
        handle.remove()
    assert (before - expected).abs().max() > 0.5
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)  # float32, two bases of one plane
    traced = logits_under(host, plan_of(recipe, host, vectors))
    assert (traced - logits_under(host, ())).abs().max() > 0.5
    assert "0.75 of the projection" in (folder / "README.md").read_text()
    assert Recipe.load(folder / "recipe.json") == recipe
    save_for_vllm(recipe, host, vectors, folder)  # over its own


def test_blocks_of_vllm_give_two_parts_and_the_edit_is_of_their_sum(tiny_host, vectors, tmp_path) -> None:
    folder = save_for_vllm(Recipe(interventions=(*ADDS, ABLATION)), tiny_host("llama"), vectors, tmp_path / "out")
    plugin = _plugin(folder)
    edits = plugin.read(folder / "edits.safetensors")

    class Fused(nn.Module):
        def forward(self, added: Tensor, stream: Tensor) -> tuple[Tensor, Tensor]:
            return 2 * added, stream

    class PPMissingLayer(nn.Module):
        """What stands in for the layers of other processes."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([PPMissingLayer(), PPMissingLayer(), Fused(), Fused()])
            self.experts = nn.ModuleList([nn.Identity()] * 3)

    model = Model()
    assert len(plugin.install(model, edits)) == 2
    added, stream = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(1))
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):  # eight bits, rounded once
        new, beside = model.layers[2](added.to(dtype), stream.to(dtype))
        expected = edits(2, 2 * added + stream)
        assert (expected - 2 * added - stream).abs().max() > 1
        torch.testing.assert_close((new + beside).float(), expected, rtol=tolerance, atol=2 * tolerance)
    model.towers = nn.ModuleList([nn.Identity()] * 4)
    with pytest.raises(ValueError, match="layers, towers"):
        plugin.blocks_of(model, edits)
    assert plugin.blocks_of(model, edits, "layers") is model.layers
    with pytest.raises(ValueError, match="width 31"):
        edits(2, torch.zeros(1, 31))


def test_vllm_finds_the_folder_as_a_plugin_and_compiled_graphs_are_refused(
    tiny_host, vectors, tmp_path, monkeypatch
) -> None:
    host = tiny_host("llama")
    folder = save_for_vllm(Recipe(interventions=ADDS), host, vectors, tmp_path / "out")
    monkeypatch.syspath_prepend(folder)
    (found,) = entry_points(group="vllm.general_plugins", name="steering_edits")
    served = SimpleNamespace(enforce_eager=True)

    class BaseModelLoader:
        def load_model(self, vllm_config: Any, model_config: Any, prefix: str = "") -> nn.Module:
            blocks = nn.Module()
            blocks.layers = nn.ModuleList([nn.Identity() for _ in range(4)])
            return blocks

    class OtherLoader(BaseModelLoader):
        """Some of vLLM's loaders have a way of their own, which may lead through the common one."""

        def load_model(self, vllm_config: Any, model_config: Any, prefix: str = "") -> nn.Module:
            return super().load_model(vllm_config, model_config, prefix)

    path = "vllm.model_executor.model_loader"
    monkeypatch.setitem(sys.modules, path, SimpleNamespace(BaseModelLoader=BaseModelLoader))
    register = found.load()
    register()
    register()  # vLLM may load a plugin twice in a process
    told = SimpleNamespace(model_config=served)
    x = torch.zeros(1, 32)
    for loader in (BaseModelLoader(), OtherLoader()):  # once, not twice
        model = loader.load_model(vllm_config=told, model_config=served, prefix="")
        assert model.layers[1](x).norm() == pytest.approx(3 * float(vectors["tone"].mean_differences[1]), rel=1e-4)
    draft = BaseModelLoader().load_model(vllm_config=told, model_config=SimpleNamespace(enforce_eager=True))
    assert torch.equal(draft.layers[1](x), x)
    served.enforce_eager = False
    with pytest.raises(RuntimeError, match="--enforce-eager"):
        BaseModelLoader().load_model(vllm_config=told, model_config=served)


def test_a_control_vector_is_the_sum_of_all_additions_with_their_strengths(tiny_host, vectors, tmp_path) -> None:
    host, recipe = tiny_host("llama"), Recipe(interventions=ADDS)
    path = save_for_llama_cpp(recipe, host, vectors, tmp_path / "sum.gguf")
    tone, other = vectors["tone"], vectors["other"]
    rows = written_rows(path)
    assert set(rows) == {1, 2}
    expected = 3 * tone.mean_differences[2] * tone.directions[2]
    expected = expected - 1.5 * other.residual_norms[2] * other.directions[2]
    torch.testing.assert_close(rows[2], expected, rtol=1e-5, atol=1e-6)
    again = load_gguf(path)
    assert again.n_blocks == 4
    one = Recipe(interventions=(Intervention(vector="again", blocks=(1, 2)),))
    here = logits_under(host, plan_of(one, host, {"again": again}))
    there = logits_under(host, plan_of(recipe, host, vectors))
    assert (there - logits_under(host, ())).abs().max() > 0.5
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)


REFUSED = {
    "a clamp": Intervention(vector="tone", mode="clamp", blocks=(1,)),
    "at the attention output": Intervention(vector="tone", blocks=(1,), site="attention_output"),
    "generated tokens only": Intervention(vector="tone", blocks=(1,), scope="generated"),
    "it has a condition": Intervention(vector="tone", blocks=(1,), gate=GateSettings(vector="other", block=0)),
}


def test_what_does_not_carry_over_is_named_each_by_its_own(tiny_host, vectors, tmp_path) -> None:
    host = tiny_host("llama")
    recipe = Recipe(interventions=(*ADDS, *REFUSED.values()))
    for save in (save_for_vllm, save_for_llama_cpp):
        with pytest.raises(SteeringError) as caught:
            save(recipe, host, vectors, tmp_path / "out")
        said = str(caught.value)
        assert all(reason in said for reason in REFUSED), said
        assert [number for number in range(1, 7) if f"{number}. " in said] == [3, 4, 5, 6]
    assert not list(tmp_path.iterdir())


def test_llama_cpp_takes_no_ablation_no_block_0_and_no_sum_of_nothing(tiny_host, vectors) -> None:
    def of(*interventions: Intervention) -> dict[int, Tensor]:
        return sums(block_edits(Recipe(interventions=interventions), tiny_host("llama"), vectors))

    for recipe, words in (
        ((*ADDS, ABLATION), r"ablation \(block 2, 3\) depends on the state"),
        ((Intervention(vector="tone", blocks=(0, 1)),), "no direction for block 0"),
        ((ADDS[0], ADDS[0].model_copy(update={"strength": -3.0})), "cancel at every block"),
        ((Intervention(vector="tone", blocks=(1,), strength=0.0),), "changes nothing"),
    ):
        with pytest.raises(SteeringError, match=words):
            of(*recipe)


def test_a_checkpoint_gives_the_logits_of_ablating_the_span_everywhere(tiny_host, vectors, tmp_path) -> None:
    host = tiny_host("llama")
    span = Intervention(vector="tone", others=("other",), mode="ablate", blocks="everywhere")
    recipe = Recipe(interventions=(span,))
    folder = save_checkpoint(recipe, host, vectors, tmp_path / "model")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    written = model.model.layers[1].mlp.down_proj.weight
    for name in ("tone", "other"):  # both, although they are not at right angles
        direction = vectors[name].directions[vectors["tone"].default_block]
        assert (direction @ host.model._module.model.layers[1].mlp.down_proj.weight).abs().max() > 0.1
        assert (direction @ written).abs().max() < 1e-5
    assert set(json.loads((folder / "orthogonalised.json").read_text())["vectors"]) == {"tone", "other"}
    assert "cannot be switched off" in (folder / "README.md").read_text()
    for wrong, words in (
        ((span, span), "2 interventions"),
        ((span.model_copy(update={"strength": 0.5}),), "not removed wholly"),
        ((ADDS[0],), "is not ablated"),
        ((span.model_copy(update={"scope": "reply"}),), "some tokens only"),
    ):
        with pytest.raises(SteeringError, match=words):
            save_checkpoint(Recipe(interventions=wrong), host, vectors, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_hooks_that_do_something_else_are_found_out_and_leave_no_folder(
    tiny_host, vectors, tmp_path, monkeypatch
) -> None:
    from steering.engines import vllm

    kept = vllm._save
    monkeypatch.setattr(vllm, "_save", lambda edits, host, path: kept(edits[:1], host, path))
    with pytest.raises(SteeringError, match="do not give the recipe's logits"):
        save_for_vllm(Recipe(interventions=ADDS), tiny_host("llama"), vectors, tmp_path / "out")
    assert not (tmp_path / "out").exists()
