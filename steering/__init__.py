"""Steering Workbench's library: everything the workbench can do, callable from a script or a notebook.

    from steering import ContrastSet, Host, Intervention, Recipe, Row, extract, generate, plan_of, render

    host = Host.load("demo")
    vector = extract(host, ContrastSet.load("formality"))
    recipe = Recipe(interventions=(Intervention(vector=vector.name),))
    prompt = render(host, "Write a note to my boss about the meeting.")
    plain, steered = generate(host, [Row(prompt), Row(prompt, plan_of(recipe, host, {vector.name: vector}))])

Names are loaded when first used: torch and transformers take seconds, and the command line's help needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any
from warnings import catch_warnings, filterwarnings


_HOMES = {
    "steering.passes.activations": ("read_states",),
    "steering.texts.contrast": ("ContrastSet",),
    "steering.extraction.controls": ("random_control",),
    "steering.passes.decoding": ("generate", "next_token_logits", "stream"),
    "steering.errors": ("SteeringError",),
    "steering.extraction.extract": ("extract", "extract_methods"),
    "steering.model.host": ("Host",),
    "steering.writes.interventions": ("Gate", "Write"),
    "steering.writes.operations": ("Ablate", "Add", "Affine", "Clamp", "Erase", "Rotate"),
    "steering.lane": ("Job", "Lane", "Stopped"),
    "steering.loading.options": ("LoadOptions",),
    "steering.model.model_info": ("ModelInfo",),
    "steering.recipes.orthogonal": ("orthogonalised",),
    "steering.model.prompts": ("Message", "Prompt", "conversation", "render", "render_text"),
    "steering.recipes.plans": ("plan_of",),
    "steering.recipes.recipe": ("Intervention", "Recipe"),
    "steering.passes.replies": ("DecodeSettings", "Replies", "Reply"),
    "steering.passes.rows": ("Row",),
    "steering.training.trainee": ("Trainee",),
    "steering.training.training": ("train",),
    "steering.vectors.token_readings": ("read_tokens", "with_readings"),
    "steering.vectors.files": ("load_vector", "save_vector"),
    "steering.vectors.vector": ("SteeringVector",),
    "steering.waiting": ("Interrupted", "progress"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'steering' has no attribute {name!r}")
    with catch_warnings():
        # Of tqdm in a notebook without ipywidgets; its bars are not shown here.
        filterwarnings("ignore", message="IProgress not found")
        value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
