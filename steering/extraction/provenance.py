"""How a vector was made, written down."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from steering.extraction.fitter import METHODS
from steering.extraction.reading import Reading
from steering.model.host import Host
from steering.model.outcome import warnings
from steering.passes.pooling import Pooling, pooling_name
from steering.texts.contrast import ContrastSet
from steering.vectors.vector import Provenance


_PACKAGES = ("steering-workbench", "torch", "transformers", "nnsight")


def provenance_of(
    host: Host,
    contrast: ContrastSet,
    method: str,
    *,
    pooling: Pooling,
    reading: Reading,
    seed: int,
    texts: str = "",
) -> Provenance:
    """Everything about an extraction; `texts` names the set that a control was fitted on instead."""
    settings: dict[str, Any] = {**asdict(reading), **({"texts": texts} if texts else {})}
    if method in METHODS.plugins:
        settings["package"] = METHODS.plugins[method].package
    if not host.chat.default:
        settings["chat"] = host.chat.model_dump(mode="json")
    return Provenance(
        method=method,
        pooling=pooling_name(pooling),
        contrast=contrast.name,
        contrast_digest=contrast.digest,
        positive_label=contrast.positive_label,
        negative_label=contrast.negative_label,
        n_train=contrast.counts["train"],
        n_validation=contrast.counts["validation"],
        seed=seed,
        licence=contrast.licence,
        settings=settings,
        **made_here(host),
    )


def made_here(host: Host) -> dict[str, Any]:
    """The fields of a `Provenance` that say on which model, when and with what software."""
    return {
        "model": host.name,
        "model_source": host.info.source,
        "revision": host.info.revision,
        "base": host.info.base,
        "architecture": host.info.architecture,
        "dtype": host.info.dtype,
        "template_digest": host.info.template_digest,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "warnings": warnings(host.name, host.check, without=("decoding steps",)),
    }


def versions() -> dict[str, str]:
    """Of the packages on which a number depends."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    """Read once: what is imported stays as it is, and every run looks."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the project itself, run from a checkout that was never installed
            continue
    return found
