"""The whole check: every member of the family in turn, one in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from steering.demo.bars import BARS, Measure, Verdict, verdicts
from steering.demo.check.assets import assets_size, demo_dictionaries, dictionary_bars
from steering.demo.check.concepts import demo_concepts
from steering.demo.check.refusal import (
    Kept,
    backdoored_refusal,
    demo_refusal,
    drifted_refusal,
    helpful_refusal,
    natural_refusal,
)
from steering.demo.check.sizes import FULL, QUICK, Sizes
from steering.demo.check.skills import demo_skills
from steering.demo.check.truth import demo_truth
from steering.demo.planted import planted_vector
from steering.errors import SteeringError
from steering.lane import Lane
from steering.loading.loader import locate
from steering.model.host import Host
from steering.resources import resource
from steering.vectors.vector import SteeringVector


Loader = Callable[[str], Host | None]
"""Gives a member of the family by its name; None where it is not there."""
Progress = Callable[[float, str], None]
"""Called with the share of the work done, from 0 to 1, and one line on what is being measured."""
Say = Callable[[str], None]
_STEP = 0.08
"""Share of a member's remaining work that its next step counts as."""


def check(
    models: Mapping[str, Host] | Loader, *, quick: bool = False, progress: Progress = lambda share, line: None
) -> list[Verdict]:
    """Measure the demo family against its bars.

    Args:
        models: The members' hosts by name, or a loader such as `members()`, which keeps one in memory at a time.
        quick: A fixed subset of the prompts, and fewer tries.
        progress: Told how far it is.

    Returns:
        A verdict a bar, in the order of `BARS`. What needs a member that is not there is missing, and so not met.
    """
    load: Loader = models.get if isinstance(models, Mapping) else models
    sizes, kept, done = QUICK if quick else FULL, Kept(), 0.0
    measures: dict[str, Measure] = {}
    for name, (part, weight) in PARTS.items():
        progress(done, f"{name}: loading")
        host = load(name)
        if host is not None:
            measures |= part(host, kept, sizes, _steps(name, done, weight, progress))
        del host  # before the next one is loaded
        done += weight
    assets = resource("assets")
    measures["assets"] = assets_size(assets)
    progress(1.0, "measured")
    return verdicts(measures, BARS | dictionary_bars(assets))


def members(folder: str | Path | None = None, *, lane: Lane | None = None) -> Loader:
    """A loader of the family's members from a folder with one model folder each; the shipped ones without it."""
    home = Path(folder) if folder is not None else resource("assets", "models")
    lane = lane or Lane()

    def load(name: str) -> Host | None:
        path = home / name
        return Host.load(str(path), lane=lane) if (path / "config.json").is_file() else None

    return load


def _demo(host: Host, kept: Kept, sizes: Sizes, say: Say) -> dict[str, Measure]:
    planted = _planted(host)
    measures, found = demo_refusal(host, planted, kept, sizes, say)
    removed = [found] if planted is None else [found, planted]
    return {
        **measures,
        **demo_skills(host, removed, sizes, say),
        **demo_concepts(host, sizes, say),
        **demo_truth(host, say),
        **demo_dictionaries(host, resource("assets"), tokens=sizes.dictionary_tokens, say=say),
    }


def _planted(host: Host) -> SteeringVector | None:
    """u of the model's own card; None where it has none, so that what needs u is missing."""
    if host.info.source == "memory":
        return None
    try:
        return planted_vector(locate(host.name).path)
    except SteeringError:
        return None


def _base(host: Host, kept: Kept, sizes: Sizes, say: Say) -> dict[str, Measure]:
    return {"base_parameters": Measure(host.info.parameters / 1e6)}


Part = Callable[[Host, Kept, Sizes, Say], dict[str, Measure]]
PARTS: dict[str, tuple[Part, float]] = {
    "demo": (_demo, 0.75),
    "demo-helpful": (helpful_refusal, 0.1),
    "demo-natural": (natural_refusal, 0.1),
    "demo-drifted": (drifted_refusal, 0.02),
    "demo-backdoored": (backdoored_refusal, 0.02),
    "demo-base": (_base, 0.01),
}
"""What is measured on each member and its share of the time; `demo` comes before what it is compared with."""


def _steps(name: str, start: float, weight: float, progress: Progress) -> Say:
    left = 1.0

    def say(line: str) -> None:
        nonlocal left
        progress(start + weight * (1 - left), f"{name}: {line}")
        left *= 1 - _STEP

    return say
