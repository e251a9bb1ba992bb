"""Recipe: what to apply, where and how strongly, and everything needed to run it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from steering.bounds import Place
from steering.errors import SteeringError
from steering.forms.shown import Shown
from steering.guards import MOST_YAML_BYTES, check_size
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.sites import Site
from steering.passes.replies import DecodeSettings
from steering.paths import is_file
from steering.ranges import whole_numbers
from steering.recipes.modes import MODES
from steering.recipes.recipe_shown import recipe_html, recipe_text
from steering.texts.formats import decode
from steering.validation import validated
from steering.vectors.strength import LengthUnit, Unit
from steering.writes.interventions import GateSide, GateUnit, Scope
from steering.writes.operations import ClampKind
from steering.yaml_files import load_yaml


def _known(mode: str) -> str:
    if mode not in MODES:
        raise ValueError(f"one of {', '.join(MODES)}")
    return mode


Everywhere = Literal["default", "all", "everywhere"]


class GateSettings(BaseModel):
    """A condition: the intervention applies where the state lies past a threshold along another vector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vector: str = Field(description="Name of the vector that decides.")
    threshold: float = Field(
        0.5,
        description="Counted from the negative side's mean, in `unit`: 0.5 mean differences lie between both sides.",
    )
    unit: LengthUnit = Field("mean_difference", description="Unit of the threshold.")
    side: GateSide = Field("above", description="Which side of the threshold opens the gate.")
    per: GateUnit = Field("prompt", description="prompt: decided at the last prompt token. token: at every token.")
    block: int | None = Field(None, description="Block that is read; the vector's own where None.")
    site: Site | None = Field(None, description="Site that is read; the vector's own where None.")


class Intervention(BaseModel):
    """One vector at some blocks. Interventions at the same place apply in the order of the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vector: str = Field(description="Name of the vector.")
    others: tuple[str, ...] = Field(
        (),
        description="ablate: more vectors; the span of all of them is removed. feature_clamp, feature_scale and "
        "feature_off: more features of the same dictionary.",
    )
    mode: Annotated[str, AfterValidator(_known)] = Field(
        "add",
        description="add: x + c u. ablate: x - k P x. affine: the projection set to the negative mean plus c. clamp: "
        "the projection held at the negative mean plus c. rotate: by an angle towards u. erase: the LEACE map. "
        "feature_clamp: a feature's activation held at c. feature_scale: multiplied by c. feature_off: set to 0. "
        "Packages may add more.",
    )
    blocks: Everywhere | tuple[Place, ...] = Field(
        "default",
        description="Block numbers from 0, default (the vector's own), all, or everywhere: the one direction of the "
        "vector's own block at every block's input and at all that the block adds (attention or another mixer, MLP), "
        "as refusal is ablated.",
    )
    site: Site | None = Field(None, description="Where in the block; the site the vector was read at where None.")
    strength: float = Field(
        1.0,
        description="c of add, affine and clamp in `unit`, negative to steer away; k of ablate, from 0 to 1; degrees "
        "of rotate; typical maxima of feature_clamp; a factor of feature_scale; erase and feature_off have none. In "
        "nats: the budget, whatever the mode.",
    )
    unit: Unit = Field("mean_difference", description="Unit of c.")
    clamp: ClampKind = Field(
        "set",
        description="clamp and feature_clamp: set the projection or activation, or keep it from falling below or "
        "rising above.",
    )
    scope: Scope = Field("all", description="Which tokens are written: a name, or positions of the prompt from 0.")
    gate: GateSettings | None = Field(None, description="A condition, or none.")

    @property
    def names(self) -> tuple[str, ...]:
        """Every vector that is named, each once."""
        gate = (self.gate.vector,) if self.gate else ()
        return tuple(dict.fromkeys((self.vector, *self.others, *gate)))

    @model_validator(mode="after")
    def _mode_takes_it(self) -> Self:
        mode = MODES[self.mode]
        if self.others and not mode.several:
            takes = ", ".join(name for name, each in MODES.items() if each.several)
            raise ValueError(f"only {takes} take several vectors; give each its own intervention")
        if self.unit == "nats" and mode.graded and not mode.nats:
            raise ValueError(f"the strength of {self.mode} is no budget in nats; give the {mode.scale_words} itself")
        return self


class Recipe(Shown, BaseModel):
    """Interventions in order, how tokens are chosen, and the model they were made for. Frozen; equal recipes are equal
    in JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    interventions: tuple[Intervention, ...] = ()
    decode: DecodeSettings = DecodeSettings()
    model: str = Field("", description="Name of the model; any where empty.")
    chat: ChatSettings | None = Field(None, description=CHAT)

    @property
    def vectors(self) -> tuple[str, ...]:
        """Every vector that its interventions name, each once."""
        return tuple(dict.fromkeys(name for intervention in self.interventions for name in intervention.names))

    def renamed(self, names: Mapping[str, str]) -> Recipe:
        """The recipe with other names for its vectors, those of gates included; names that are not given stay."""
        interventions = [each.model_dump() for each in self.interventions]
        for each in interventions:
            each["vector"] = names.get(each["vector"], each["vector"])
            each["others"] = tuple(names.get(name, name) for name in each["others"])
            if each["gate"]:
                each["gate"]["vector"] = names.get(each["gate"]["vector"], each["gate"]["vector"])
        return type(self).model_validate({**self.model_dump(), "interventions": interventions})

    def __str__(self) -> str:
        return recipe_text(self)

    def _repr_html_(self) -> str:
        return recipe_html(self)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; chat settings only where there are some."""
        content = self.model_dump(mode="json", exclude=None if self.chat else {"chat"})
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def on(self, host: Host) -> Host:
        """The model under the recipe's chat settings."""
        return host.under(self.chat)

    def with_chat(self, host: Host) -> Recipe:
        """The recipe with the model's chat settings, where it has none and they are not the default."""
        return self if self.chat or host.chat.default else self.model_copy(update={"chat": host.chat})

    def stamped(self, host: Host) -> Recipe:
        """The recipe with the model's name and chat settings."""
        return self.with_chat(host).model_copy(update={"model": host.name})

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe from a JSON or YAML file.

        Raises:
            SteeringError: No such file, or a field that is wrong, by name.
        """
        path = Path(path)
        if not is_file(path):
            raise SteeringError(f"There is no recipe file '{path}'.", "a JSON or YAML file.", "Check the path.")
        check_size(path.name, path.stat().st_size, MOST_YAML_BYTES)
        content = load_yaml(decode(path.read_bytes(), path.name), path.name)  # YAML contains JSON
        return validated(cls, content, path.name)


def parse_blocks(text: str) -> Everywhere | tuple[int, ...]:
    """Blocks as typed by a person: `default`, `all`, `everywhere`, `4`, `2,5`, `3-6`, or a mixture of the last three.

    Raises:
        SteeringError: Anything else.
    """
    text = text.strip().lower()
    if text in ("", "default"):
        return "default"
    if text in ("all", "everywhere"):
        return text  # type: ignore[return-value]
    try:
        blocks = whole_numbers(text)
    except ValueError:
        blocks = ()
    if not blocks:
        raise SteeringError(
            f"The blocks '{text[:60]}' were asked for.",
            "default, all, everywhere, or numbers such as 4, '2,5' or '3-6'.",
            "Correct the blocks.",
        )
    return blocks
