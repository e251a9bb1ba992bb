"""The recipe editor: one component whose value is one `Recipe`; its markup, style and script lie in `assets/recipe`.

What the browser sends is any JSON at all: `preprocess` gives a `Draft`, which is a recipe or says which field keeps it
from being one. Vectors, ranges and words come as props, so that the page converts strengths by a factor and no more.
Style and script stand in the page's head (`workbench.page.theme`), once for all editors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.model.sites import SITES
from steering.recipes.modes import CLAMPED, MODES, Mode
from steering.recipes.recipe import Intervention, Recipe
from steering.resources import resource
from steering.vectors.strength import LENGTH_UNITS, UNITS
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import SCOPES
from workbench.controls.offers import fitting, offer, vector_named, vectors_at_hand
from workbench.controls.recipe_exports import exported
from workbench.controls.recipe_reading import Draft, problems_with_vectors, read_draft, read_recipe, read_text
from workbench.controls.saved_recipes import answered
from workbench.page.blocks import Unwritten
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.visits import visitor_of
from workbench.places import without_places


_NATS = (
    "The 95th percentile over tokens of KL to the unsteered model, on everyday requests. It is measured before the "
    "run, which takes a few seconds the first time."
)


def words() -> dict[str, Any]:
    """What the page shows of the library's names, those of packages among them, and the ranges of strengths that are no
    length.
    """
    scaled = {name: mode for name, mode in MODES.items() if not mode.length}
    return {
        "modes": {name: mode.title for name, mode in MODES.items()},
        "several": [name for name, mode in MODES.items() if mode.several],
        "features": [name for name, mode in MODES.items() if mode.feature],
        "clamped": CLAMPED,
        "units": UNITS,
        "lengths": LENGTH_UNITS,
        "scopes": SCOPES,
        "sites": {site: site.replace("_", " ") for site in SITES},
        "clamps": {"set": "hold it there", "floor": "no lower", "ceil": "no higher"},
        "sides": {"above": "is above", "below": "is below"},
        "pers": {"prompt": "the prompt's last token, for the whole reply", "token": "each token, for itself"},
        "own": {name: _slider(mode) for name, mode in scaled.items()},
        "nats": {"min": -8, "max": 8, "step": 0.05, "first": 1.0, "label": "Strength"},
        "said": {**{name: mode.says for name, mode in MODES.items() if mode.says}, "nats": _NATS},
    }


def _slider(mode: Mode) -> dict[str, Any]:
    """Of a mode whose strength is no length; one that has none shows nothing."""
    scale = mode.scale
    if scale is None:
        return {"min": 0, "max": 1, "step": 1, "first": 1, "label": "", "unit": "", "nats": False}
    ends = {"min": scale.low, "max": scale.high, "step": scale.step, "first": scale.first}
    return {**ends, "label": scale.label, "unit": scale.short or scale.unit, "nats": mode.in_nats}


_MOST_SHOWN = 50
"""Fields that are wrong, of one recipe."""
_MARKUP = resource("assets", "recipe", "recipe.html").read_text(encoding="utf-8")
_LOAD = "window.recipeEditor(element, props, server, watch);"


class RecipeEditor(gr.HTML, metaclass=Unwritten):
    """As an input it gives a handler a `Draft`; as an output it takes a `Recipe`, or None for none."""

    def preprocess(self, payload: Any) -> Draft:
        """What the browser sent; never trusted."""
        return read_draft(payload)

    def postprocess(self, value: Recipe | Draft | None) -> dict[str, Any] | None:
        """The recipe as plain data."""
        recipe = value.found if isinstance(value, Draft) else value
        return None if recipe is None else plain(recipe)

    is_setting = True
    """What stands in it is kept by the browser, as what is typed in Gradio's own controls is."""

    def kept(self, value: Any) -> tuple[Recipe | None, list[str]]:
        """The recipe that a browser kept, None where it kept none; nothing of a recipe is left out."""
        return read_draft(value).found, []

    def given(self, value: Any) -> Draft:
        """What a handler is given of a value on the server."""
        return self.preprocess(self.postprocess(value) if isinstance(value, Recipe) else value)

    def api_info(self) -> dict[str, Any]:
        """Of the value."""
        return {"type": "object"}


def plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain data, with chat settings only where there are some, as its canonical JSON has them."""
    return recipe.model_dump(mode="json", exclude=None if recipe.chat else {"chat"})


def place_recipe(
    ui: PanelContext,
    key: str,
    *,
    title: str,
    about: str = "",
    hue: str = "",
    value: Recipe | None = Recipe(),  # noqa: B008 (frozen)
    picking: bool = False,
    decoding: bool = False,
    removable: bool = False,
) -> RecipeEditor:
    """Place an editor that knows the shelf; keep it true with `follow_shelf`.

    Args:
        ui: Of the panel.
        key: Unique on the page; part of the controls' ids.
        title: The card's heading.
        about: What the recipe is for, below it.
        hue: "" or a recipe letter.
        value: What it begins with; with None it shows nothing.
        picking: Whether tokens of the prompt can be picked to write at.
        decoding: Whether length, temperature and seed are edited here; where they are not, they do not count.
        removable: Whether the whole recipe can be taken away again.
    """

    def check(given: Any) -> list[dict[str, str]]:
        """What is wrong with the recipe that stands in the editor; called by its script."""
        recipe, problems = read_recipe(given)
        found = problems_with_vectors(recipe, vectors_at_hand(ui)) if recipe else []
        return [each.shown for each in (*problems, *found)[:_MOST_SHOWN]]

    def read(given: Any) -> dict[str, Any]:
        """A pasted recipe as plain data, or what is wrong with it; called by the script."""
        try:
            return {"recipe": plain(read_text(given))}
        except SteeringError as error:
            return {"said": without_places(str(error))}

    def ask_saved(given: Any, request: gr.Request) -> dict[str, Any]:
        """Saved and shipped recipes; called by the script."""
        return answered(ui, given, ui.bench.owner(visitor_of(request)), plain)

    def export_for(given: Any) -> dict[str, str]:
        """The recipe as a file for another engine; called by the script."""
        return exported(ui, given)

    flags = {"picking": picking, "decoding": decoding, "removable": removable}
    return RecipeEditor(
        value,
        html_template=_MARKUP,
        js_on_load=_LOAD,
        apply_default_css=False,
        server_functions=[check, read, ask_saved, export_for],
        elem_id=f"recipe-{key}",
        elem_classes="sw-recipe-block",
        ident=key,
        title=title,
        about=about,
        hue=hue,
        words=words(),
        flags=flags,
        vectors=_offers(ui),
        renamed=ui.workspace.renamed(),
    )


def follow_shelf(ui: PanelContext, editors: Sequence[RecipeEditor], *, first: bool = True) -> None:
    """Keep what editors offer true to the shelf and the model.

    Args:
        ui: Of the panel.
        editors: All of them get the vectors.
        first: Whether the first editor's first intervention takes what is picked on the shelf.
    """

    def offered() -> Outputs:
        known = {"vectors": _offers(ui), "renamed": ui.workspace.renamed()}
        return {editor: gr.update(**{**editor.props, **known}) for editor in editors}

    ui.watch("shelf", "model", call=offered, outputs=editors)
    if not first:
        return
    top = editors[0]

    def take(picked: str | None, followed: str | None, recipe: Draft) -> Outputs:
        vector = vector_named(ui, picked) if picked in fitting(ui) else None
        if vector is None or picked == followed:
            return {}
        if ui.workspace.renamed().get(followed or "") == picked:  # the same one, which the editor's script sees to
            return {ui.page.followed: picked}
        if recipe.found is None:  # what is being typed is not taken away
            return {}
        taken = with_vector(recipe.found, vector)
        return {ui.page.followed: picked, **({top: taken} if taken != recipe.found else {})}

    given = {"picked": ui.page.picked, "followed": ui.page.followed, "recipe": top}
    ui.watch("picked", call=take, inputs=given, outputs=[ui.page.followed, top])


def with_vector(recipe: Recipe, vector: SteeringVector) -> Recipe:
    """The recipe with another vector first, at its own block and suggested strength; tokens and condition stay."""
    first, *others = recipe.interventions or (Intervention(vector=vector.name),)
    if recipe.interventions and first.vector == vector.name:
        return recipe
    kept = {"scope": first.scope, "gate": first.gate}
    fresh = Intervention(vector=vector.name, strength=vector.suggested_strength, **kept)
    return recipe.model_copy(update={"interventions": (fresh, *others)})


def received(ui: PanelContext, recipe: Recipe) -> Recipe:
    """A recipe of another panel as it is shown: chat settings that hold on the page anyway are not held fast."""
    return recipe.model_copy(update={"chat": None}) if ui.host and recipe.chat == ui.host.chat else recipe


def decoded_alike(recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Recipes that are compared, all decoded as the first of them."""
    decode = next(iter(recipes.values()), Recipe()).decode
    return {name: recipe.model_copy(update={"decode": decode}) for name, recipe in recipes.items()}


def _offers(ui: PanelContext) -> list[dict[str, Any]]:
    return [offer(name, vector) for name, vector in vectors_at_hand(ui).items()]
