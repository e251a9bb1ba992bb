"""A recipe as a notebook shows it, and in words that need no model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from steering.forms.markup import facts, fold, head, listed, output, said, verbatim
from steering.names import short_name
from steering.recipes.words import in_words


if TYPE_CHECKING:
    from steering.recipes.recipe import Recipe


def recipe_html(recipe: Recipe) -> str:
    """A whole output."""
    does = in_words(recipe)
    return output(
        head("Recipe", "what is written, and how tokens are chosen"),
        listed(does) or said(_NOTHING),
        facts(_facts(recipe)),
        fold("As JSON, to run it again", verbatim(recipe.model_dump_json(indent=2))),
    )


def recipe_text(recipe: Recipe) -> str:
    """The same in plain text."""
    does = in_words(recipe)
    return "\n  ".join(
        ["Recipe", *(does or [_NOTHING]), *(f"{name}: {value}" for name, value in _facts(recipe) if value)]
    )


_NOTHING = "Nothing is written: the unsteered model."


def _facts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    decode = recipe.decode
    drawn = f"temperature {decode.temperature:g}, top-p {decode.top_p:g}, seed {decode.seed}"
    yield "tokens", f"at most {decode.max_new_tokens}; {drawn if decode.temperature else 'the likeliest one each'}"
    yield "model", short_name(recipe.model)
    yield "chat settings", recipe.chat.to_json() if recipe.chat else ""
