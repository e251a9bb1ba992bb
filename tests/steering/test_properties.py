"""What holds of any numbers, scopes, plans, recipes and vectors, and not of chosen ones alone.

STEERING_FUZZ=10000 looks that often.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.ranges import compact, sweep, whole_numbers
from steering.recipes.recipe import Recipe
from steering.vectors.files import load_vector, save_vector
from steering.writes.interventions import Gate, Plan, Write, scope_mask
from steering.writes.operations import Ablate, Add
from steering.writes.scopes import SCOPES
from tests.fuzzing import examples
from tests.workbench.test_workspace import vector


TEXTS = ("Hello.", "Tell me a story about the sea.", "What is two plus three?")
POSITIONS = st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True).map(lambda each: tuple(sorted(each)))
SCOPE = st.one_of(st.sampled_from([*SCOPES]), POSITIONS)


@examples(60)
@given(numbers=st.sets(st.integers(0, 300), max_size=40))
def test_numbers_are_read_as_they_are_written(numbers: set[int]) -> None:
    assert whole_numbers(compact(numbers)) == tuple(sorted(numbers))


@examples(60)
@given(low=st.integers(-50, 50), step=st.integers(1, 20), n=st.integers(0, 30), scale=st.sampled_from([1, 10, 100]))
def test_a_sweep_has_every_step_and_its_end(low: int, step: int, n: int, scale: int) -> None:
    at = [Decimal(low + k * step) / scale for k in range(n + 1)]
    assert sweep(f"{at[0]}..{at[-1]} step {Decimal(step) / scale}") == tuple(map(float, at))
    assert sweep(", ".join(map(str, at))) == tuple(map(float, at))


@examples(60)
@given(
    rows=st.lists(st.tuples(st.integers(3, 6), st.integers(0, 4)), min_size=1, max_size=4),
    left=st.booleans(),
    scope=SCOPE,
)
def test_a_scope_covers_the_tokens_that_it_names(rows: list[tuple[int, int]], left: bool, scope) -> None:
    """Rows of a prompt and a reply, token by token, without a tensor."""
    longest = max(prompt + reply for prompt, reply in rows)
    real, last, expected = [], [], []
    for prompt, reply in rows:
        start = longest - prompt - reply if left else 0
        own = [0 <= place - start < prompt + reply for place in range(longest)]
        real.append(own)
        last.append(start + prompt - 1)
        at = [place - start if inside else None for place, inside in enumerate(own)]
        named = {
            "all": lambda n: True,
            "prompt": lambda n, prompt=prompt: n < prompt,
            "reply": lambda n, prompt=prompt: n >= prompt - 1,  # the last prompt token says the reply's first
            "last": lambda n, prompt=prompt: n == prompt - 1,
            "generated": lambda n, prompt=prompt: n >= prompt,
        }
        covers = named[scope] if isinstance(scope, str) else lambda n: n in scope
        expected.append([n is not None and covers(n) for n in at])
    assert scope_mask(scope, torch.tensor(real), torch.tensor(last)).tolist() == expected


def plans() -> st.SearchStrategy[Plan]:
    def unit(seed: int) -> torch.Tensor:
        direction = torch.randn(32, generator=torch.Generator().manual_seed(seed))
        return direction / direction.norm()

    operation = st.one_of(
        st.builds(lambda seed, by: Add(unit(seed), by), st.integers(0, 3), st.sampled_from([-6.0, 3.0, 8.0])),
        st.builds(lambda seed: Ablate(unit(seed)), st.integers(0, 3)),
    )
    gate = st.one_of(st.none(), st.builds(lambda seed: Gate(unit(seed), 0.0, 0, "block_output"), st.integers(4, 6)))
    site = st.sampled_from(["block_input", "attention_output", "mlp_output", "block_output"])
    write = st.builds(
        Write, operation, st.integers(1, 3), site, st.sampled_from(["all", "prompt", "last", (0, 2)]), gate
    )
    return st.lists(write, max_size=3).map(tuple)


@pytest.fixture(scope="module")
def host(tiny_host):
    return tiny_host("llama")


@examples(6)
@given(rows=st.lists(st.tuples(st.sampled_from(TEXTS), plans()), min_size=2, max_size=4))
def test_a_row_gets_what_its_plan_gives_alone(host, rows: list[tuple[str, Plan]]) -> None:
    asked = [Row(render(host, text), plan) for text, plan in rows]
    together = next_token_logits(host, asked)
    for row, found in zip(asked, together, strict=True):
        # float32 sums of another order, over four blocks; logits are of order 10
        torch.testing.assert_close(found, next_token_logits(host, [row])[0], atol=2e-4, rtol=1e-4)


INTERVENTIONS = st.fixed_dictionaries(
    {"vector": st.text(min_size=1, max_size=12).filter(str.strip), "strength": st.floats(-1e6, 1e6)},
    optional={"unit": st.sampled_from(["raw", "mean_difference"]), "scope": st.sampled_from([*SCOPES])},
)


@examples(40)
@given(content=st.fixed_dictionaries({"interventions": st.lists(INTERVENTIONS, max_size=4)}))
def test_a_recipe_is_read_as_it_was_written(content) -> None:
    recipe = Recipe.model_validate(content)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@examples(15)
@given(seed=st.integers(0, 10**6), blocks=st.integers(2, 5), width=st.integers(1, 40), name=st.text(max_size=20))
def test_a_vector_is_read_as_it_was_written(tmp_path_factory, seed: int, blocks: int, width: int, name: str) -> None:
    made = vector(name.encode(errors="ignore").decode() or "v", seed, blocks=blocks, width=width)
    path = Path(tmp_path_factory.mktemp("vector")) / "v.safetensors"
    save_vector(made, path)
    found = load_vector(path)
    assert (found.digest, found.name) == (made.digest, made.name)
    assert torch.equal(found.directions, made.directions)
    assert torch.equal(found.mean_differences, made.mean_differences)
