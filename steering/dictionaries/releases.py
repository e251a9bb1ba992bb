"""Dictionaries that sae-lens knows by release and id, fetched from the Hub by sae-lens' own loaders."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from steering.confines import check_hub
from steering.dictionaries.cross_layer import READ_ONLY, read_layer
from steering.dictionaries.files import Content
from steering.errors import SteeringError


HUB = "hub:"
PATIENCE = 8.0
"""Seconds until the Hub counts as out of reach, so that nobody waits through every retry of what fetches files."""
SUMMED = "mntss_clt_layer_transcoder"
"""sae-lens adds up the decoders of a cross-layer transcoder, so that activations are right and what it gives is not: so
its files are read here."""
_CASES = 5
_OTHERWISE = {"gpt2-small": "gpt2", "mistral-7b": "mistral-7b-v0.1"}
"""Names of models in sae-lens' list -> on the Hub."""


def release_of(source: str) -> tuple[str, str] | None:
    """Release and id that a source names, such as `gpt2-small-res-jb/blocks.8.hook_resid_pre`; None for none.

    A repository of the Hub in sae-lens' own format goes as `hub:owner/name/folder`.
    """
    if source.startswith(HUB):
        owner, name, folder = (*source.removeprefix(HUB).split("/", 2), "", "")[:3]
        if not (owner and name and folder):
            raise SteeringError(
                f"The dictionary '{source[:120]}' was asked for.", f"{HUB}owner/name/folder.", "Name its folder."
            )
        return f"{owner}/{name}", folder
    release, _, name = source.partition("/")
    return (release, name) if release in _list()[1] else None


@dataclass(frozen=True)
class Release:
    """What sae-lens' list says of a release."""

    repository: str
    loader: str
    """The name of the loader that its files ask for."""
    folders: Mapping[str, str]
    """By id."""
    scales: Mapping[str, float]
    """The factors of training, by id, where there are any."""
    overrides: Mapping[str, Any]


@cache
def _list() -> tuple[list[str], dict[str, int]]:
    """The lines of sae-lens' list and where each release begins: to parse all 42,000 of them takes seconds."""
    found = find_spec("sae_lens")  # to import it takes seconds, too
    home = Path(next(iter(found.submodule_search_locations or ()))) if found else Path()
    lines = (home / "pretrained_saes.yaml").read_text(encoding="utf-8").splitlines()
    begins = {line[:-1].strip("'\""): number for number, line in enumerate(lines) if re.fullmatch(r"[^\s#-].*:", line)}
    return lines, begins


@cache
def releases_of(model: str) -> dict[str, tuple[str, ...]]:
    """The releases of sae-lens' list for a model, as this machine has the list, with the ids of each; none is fetched.

    Args:
        model: Its name. Those of a model that it is named after, as `gemma-2-2b-it` is, follow its own.
    """
    name, (lines, begins) = plain_name(model), _list()
    own: dict[str, tuple[str, ...]] = {}
    base: dict[str, tuple[str, ...]] = {}
    ends = [*list(begins.values())[1:], len(lines)]
    for (release, first), last in zip(begins.items(), ends, strict=True):
        block = lines[first:last]
        trained = plain_name(next((line[8:].strip(" '\"") for line in block if line.startswith("  model:")), ""))
        if trained and (name == trained or name.startswith(f"{trained}-")):
            ids = tuple(found[1] for line in block if (found := re.fullmatch(r"\s*- id: ['\"]?(.*?)['\"]?", line)))
            (own if name == trained else base)[release] = ids
    return {**own, **base}


def plain_name(model: str) -> str:
    """A model's name without who published it, and as the Hub has it where sae-lens calls it otherwise."""
    name = model.rstrip("/").rsplit("/", 1)[-1].lower()
    return _OTHERWISE.get(name, name)


def registered(release: str) -> Release | None:
    """What sae-lens' list says of a release; None where it has none of that name."""
    lines, begins = _list()
    if release not in begins:
        return None
    first = begins[release]
    last = min((line for line in begins.values() if line > first), default=len(lines))
    said = next(iter(yaml.safe_load("\n".join(lines[first:last])).values()))
    rows = said["saes"]
    return Release(
        said["repo_id"],
        said.get("conversion_func") or "sae_lens",
        {str(row["id"]): str(row["path"]) for row in rows},
        {str(row["id"]): float(row["norm_scaling_factor"]) for row in rows if "norm_scaling_factor" in row},
        said.get("config_overrides") or {},
    )


def why_summed(source: str) -> str:
    """Why nothing is written by what a release names, if it is a cross-layer transcoder; "" for others."""
    found = release_of(source)
    known = registered(found[0]) if found else None
    return READ_ONLY if known is not None and known.loader == SUMMED else ""


def read_release(release: str, name: str) -> Content:
    """Fetch a dictionary, or take it from the Hub's folder on this machine.

    Args:
        release: A release of sae-lens, or a repository in sae-lens' own format.
        name: The dictionary's id in it.

    Raises:
        SteeringError: No such id, the Hub out of reach, or a page that may fetch nothing.
    """
    from sae_lens.loading.pretrained_sae_loaders import NAMED_PRETRAINED_SAE_LOADERS

    source = f"{release}/{name}"
    check_hub(source)
    known = registered(release) or Release(release, "sae_lens", {name: name}, {}, {})
    if name not in known.folders:
        near = ", ".join(_near(name, list(known.folders)))
        raise SteeringError(
            f"The release {release} has no dictionary '{name[:80]}'.", f"one of its ids, such as {near}.", "Correct it."
        )
    if known.loader == SUMMED:
        return _layer(known, name, source)
    _check_reach(source)
    overrides = {**known.overrides, "device": "cpu", "dtype": "float32"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config, tensors, _ = NAMED_PRETRAINED_SAE_LOADERS[known.loader](
                repo_id=known.repository,
                folder_name=known.folders[name],
                device="cpu",
                force_download=False,
                cfg_overrides=overrides,
            )
    except Exception as error:  # the Hub's, the network's and the loaders' own
        raise _unfetched(source, error) from error
    tensors = {key: tensor.float().contiguous() for key, tensor in tensors.items()}
    return Content(source, config, tensors, {}, scale=known.scales.get(name))


def _layer(release: Release, name: str, source: str) -> Content:
    """One layer of a cross-layer transcoder: its encoder's and decoder's files, which lie beside one another then."""
    from huggingface_hub import hf_hub_download

    _check_reach(source)
    number = release.folders[name]
    try:
        for file in ("config.yaml", f"W_dec_{number}.safetensors", f"W_enc_{number}.safetensors"):
            path = hf_hub_download(release.repository, file)
    except Exception as error:  # the Hub's and the network's own
        raise _unfetched(source, error) from error
    return replace(read_layer(Path(path)), name=source)


def _check_reach(source: str) -> None:
    """Raise where the Hub does not answer; where the environment says offline, only what is kept is asked for."""
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return
    try:
        httpx.head(constants.ENDPOINT, timeout=PATIENCE, follow_redirects=True)
    except (httpx.HTTPError, OSError) as error:
        raise SteeringError(
            f"The Hub cannot be reached for the dictionary '{source[:120]}': {_first(error)}.",
            "a connection, or a dictionary that was fetched before (with HF_HUB_OFFLINE=1 in the environment).",
            "Connect, or name a folder on this machine.",
        ) from error


def _unfetched(source: str, error: Exception) -> SteeringError:
    return SteeringError(
        f"The dictionary '{source[:120]}' could not be fetched: {_first(error)}.",
        "a release and id of sae-lens that the Hub has, or that was fetched before.",
        "Check name and connection, or name a folder on this machine.",
    )


def _first(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(". ") or type(error).__name__


def _near(name: str, names: list[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, names, n=_CASES, cutoff=0.3) or names[:_CASES]
