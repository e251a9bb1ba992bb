"""Recipe: what to apply, where and how strongly, and everything needed to run it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steering.decoding import DecodeSettings
from steering.errors import SteeringError
from steering.host import Host
from steering.interventions import Plan, Scope, Write
from steering.operations import Ablate, Add
from steering.sites import SITES, Site
from steering.strength import Unit, to_raw
from steering.vectors import SteeringVector


Mode = Literal["add", "ablate"]
MODES: dict[Mode, str] = {"add": "Add", "ablate": "Ablate"}
Everywhere = Literal["default", "all", "everywhere"]


class Intervention(BaseModel):
    """One vector at some blocks. Interventions at the same place apply in the order of the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vector: str = Field(description="Name of the vector.")
    mode: Mode = Field("add", description="add: x + c u. ablate: x - k u (u . x).")
    blocks: Everywhere | tuple[int, ...] = Field(
        "default",
        description="Block numbers from 0, default (the vector's own), all, or everywhere (every block's input, "
        "attention and MLP output: the places of refusal ablation).",
    )
    site: Site | None = Field(None, description="Where in the block; the site the vector was read at where None.")
    strength: float = Field(1.0, description="c of add in `unit`; k of ablate, from 0 to 1. A negative c steers away.")
    unit: Unit = Field("mean_difference", description="Unit of c; ablate has none.")
    scope: Scope = Field("all", description="Which tokens are written.")


class Recipe(BaseModel):
    """Interventions in order, how tokens are chosen, and the model they were made for. Frozen; equal recipes are equal
    in JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    interventions: tuple[Intervention, ...] = ()
    decode: DecodeSettings = DecodeSettings()
    model: str = Field("", description="Name of the model; any where empty.")

    def plan(self, host: Host, vectors: Mapping[str, SteeringVector]) -> Plan:
        """The writes of one row.

        Raises:
            SteeringError: A vector that is missing or does not fit, a block or site the model does not have, a strength
                that is not finite or, for ablate, not in [0, 1].
        """
        return tuple(write for intervention in self.interventions for write in _writes(intervention, host, vectors))

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe from a JSON or YAML file.

        Raises:
            SteeringError: No such file, or a field that is wrong, by name.
        """
        path = Path(path)
        if not path.is_file():
            raise SteeringError(f"There is no recipe file '{path}'.", "a JSON or YAML file.", "Check the path.")
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))  # YAML contains JSON
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SteeringError(f"'{path.name}' is no YAML or JSON: {error}", "a recipe.", "Mend the file.") from error
        except ValidationError as error:
            raise validation_error(path.name, error) from error


def validation_error(what: str, error: ValidationError, *, known: Iterable[str] = ()) -> SteeringError:
    """Turn pydantic's report into one message that names the first wrong field and what it should be.

    Args:
        what: What was being read, such as "Settings of extract".
        error: The report.
        known: The fields there are, for a field that is not among them.
    """
    first: Any = error.errors(include_url=False)[0]
    # Where a field may be of several types, pydantic adds the type to the path: it is no name that anyone wrote.
    path = [str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
    field = ".".join(path) or "the whole"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden" and known:
        return SteeringError(
            f"{what}, field {field}: there is none.", f"one of {', '.join(known)}.", "Correct its name."
        )
    return SteeringError(
        f"{what}, field {field}: {str(first.get('input'))[:80]!r}.", f"{first['msg']}{more}.", "Correct that field."
    )


def _writes(intervention: Intervention, host: Host, vectors: Mapping[str, SteeringVector]) -> list[Write]:
    vector = _vector(intervention, vectors).check(host)
    return [
        Write(_operation(intervention, vector, block), block, host.sites.check(site), intervention.scope)
        for block, site in _places(intervention, host, vector)
    ]


def _vector(intervention: Intervention, vectors: Mapping[str, SteeringVector]) -> SteeringVector:
    if intervention.vector not in vectors:
        raise SteeringError(
            f"The recipe names the vector '{intervention.vector}'.",
            f"a vector on the shelf: {', '.join(vectors) or 'it is empty'}.",
            "Extract that vector first, or choose another.",
        )
    return vectors[intervention.vector]


def _places(intervention: Intervention, host: Host, vector: SteeringVector) -> list[tuple[int, Site]]:
    every = range(host.info.blocks)
    if intervention.blocks == "everywhere":
        sites = [site for site in SITES if site in host.sites.available and site != "block_output"]
        return [(block, site) for block in every for site in sites]
    site = intervention.site or vector.site
    if intervention.blocks == "all":
        return [(block, site) for block in every]
    blocks = (vector.default_block,) if intervention.blocks == "default" else intervention.blocks
    return [(host.sites.check_block(block), site) for block in blocks]


def _operation(intervention: Intervention, vector: SteeringVector, block: int) -> Add | Ablate:
    direction = vector.directions[block]
    if intervention.mode == "ablate":
        return Ablate(direction, intervention.strength)
    return Add(direction, to_raw(intervention.strength, intervention.unit, vector, block))


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
    blocks: list[int] = []
    try:
        for part in text.split(","):
            low, dash, high = part.strip().partition("-")
            blocks += range(int(low), int(high if dash else low) + 1)
    except ValueError:
        blocks = []
    if not blocks:
        raise SteeringError(
            f"The blocks '{text}' were asked for.",
            "default, all, everywhere, or numbers such as 4, '2,5' or '3-6'.",
            "Correct the blocks.",
        )
    return tuple(dict.fromkeys(blocks))
