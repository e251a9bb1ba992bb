"""SteeringVector: one direction per block, its scale, how well it separates, and where it came from."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from steering.errors import SteeringError
from steering.sites import SITES, Site


if TYPE_CHECKING:
    from steering.host import Host

FORMAT = "steering-workbench vector"
FORMAT_VERSION = 1
CONVENTIONS = {
    "block": "0-based decoder layer; block_output[l] is the residual stream after layer l, before any final norm",
    "sign": "from the negative to the positive side of the contrast set",
    "direction": "unit norm, one row per block",
    "mean_differences": "projection of (positive mean - negative mean) on the direction, raw units of the stream",
    "residual_norms": "mean norm of the states that were read, raw units of the residual stream",
}
_TENSORS = ("directions", "mean_differences", "residual_norms")
_AUROC = ("auroc", "auroc_low", "auroc_high")


@dataclass(frozen=True)
class Provenance:
    """Everything about how a vector was made."""

    method: str
    pooling: str
    contrast: str
    """Name of the contrast set."""
    contrast_digest: str
    positive_label: str
    negative_label: str
    n_train: tuple[int, int]
    """(positive, negative) prompts the direction was fitted on."""
    n_validation: tuple[int, int]
    """(positive, negative) prompts the AUROC was measured on."""
    seed: int
    """Of the bootstrap behind the AUROC intervals."""
    model: str
    model_source: str
    revision: str | None
    architecture: str
    dtype: str
    template_digest: str | None
    created: str
    """UTC, ISO 8601."""
    versions: dict[str, str]


@dataclass(frozen=True, eq=False)
class SteeringVector:
    """A concept's direction in every block of one model. See `CONVENTIONS` for what each number means."""

    name: str
    directions: Tensor
    """Unit rows, float32, (block, width)."""
    mean_differences: Tensor
    """How far apart the two sides' means lie along the direction, raw units, float32, (block,)."""
    residual_norms: Tensor
    """Mean norm of the states read, raw units, float32, (block,)."""
    auroc: Tensor | None
    """Held-out separation of the validation prompts by their projection, (block,); None without validation prompts."""
    auroc_low: Tensor | None
    """Lower ends of its 95 % intervals, (block,)."""
    auroc_high: Tensor | None
    """Upper ends, (block,)."""
    site: Site
    """Where it was read, and where it is written unless a recipe says otherwise."""
    default_block: int
    default_block_reason: str
    suggested_strength: float
    """A first strength to try, in units of the mean difference."""
    provenance: Provenance

    def __post_init__(self) -> None:
        blocks = _check_tensors(self)
        if not 0 <= self.default_block < blocks:
            raise SteeringError(f"Default block {self.default_block}.", f"a block from 0 to {blocks - 1}.", _REMAKE)
        if self.site not in SITES:
            raise SteeringError(f"The site '{self.site}'.", f"one of {', '.join(SITES)}.", _REMAKE)

    @property
    def n_blocks(self) -> int:
        return self.directions.shape[0]

    @property
    def width(self) -> int:
        return self.directions.shape[1]

    @property
    def best_auroc(self) -> float | None:
        """The default block's held-out AUROC."""
        return None if self.auroc is None else float(self.auroc[self.default_block])

    @property
    def digest(self) -> str:
        """First 12 hex digits of a SHA-256 over the directions and scales; the name does not count."""
        content = hashlib.sha256(self.site.encode())
        for name in _TENSORS:
            content.update(getattr(self, name).contiguous().numpy().tobytes())
        return content.hexdigest()[:12]

    def misfit(self, host: Host) -> str | None:
        """Why the vector cannot be used on a model, None where it can."""
        if (self.width, self.n_blocks) != (host.info.width, host.info.blocks):
            return (
                f"made for {self.n_blocks} blocks × width {self.width}, "
                f"{host.name} has {host.info.blocks} × {host.info.width}"
            )
        return None

    def check(self, host: Host) -> SteeringVector:
        """Return the vector itself.

        Raises:
            SteeringError: It was made for another number of blocks or another width.
        """
        misfit = self.misfit(host)
        if misfit:
            raise SteeringError(
                f"The vector '{self.name}' does not fit: {misfit}.",
                f"a vector extracted from {host.name}, or from a model of the same shape.",
                f"Load {self.provenance.model}, or extract the vector again from this model.",
            )
        return self

    def renamed(self, name: str) -> SteeringVector:
        """The same vector under another name."""
        return replace(self, name=name)

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file that appears whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {
            name: getattr(self, name).contiguous() for name in (*_TENSORS, *_AUROC) if getattr(self, name) is not None
        }
        card = {
            "version": FORMAT_VERSION,
            "name": self.name,
            "site": self.site,
            "default_block": self.default_block,
            "default_block_reason": self.default_block_reason,
            "suggested_strength": self.suggested_strength,
            "conventions": CONVENTIONS,
            "provenance": asdict(self.provenance),
        }
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            save_file(tensors, temporary, metadata={"format": FORMAT, "card": json.dumps(card, ensure_ascii=False)})
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> SteeringVector:
        """Read a vector file; only tensors and JSON are read, nothing is executed.

        Raises:
            SteeringError: No such file, another kind of file, a newer format, or contents that contradict each other.
        """
        path = Path(path)
        if not path.is_file():
            raise SteeringError(f"There is no file '{path}'.", "a vector saved by the workbench.", "Check the path.")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError) as error:
            raise _foreign(path, str(error)) from error
        if metadata.get("format") != FORMAT:
            raise _foreign(path, "it does not say that it is one")
        try:
            return cls._from_file(json.loads(metadata["card"]), tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise _foreign(path, f"its card cannot be read ({error})") from error

    @classmethod
    def _from_file(cls, card: dict[str, Any], tensors: dict[str, Tensor]) -> SteeringVector:
        if card["version"] != FORMAT_VERSION:
            raise SteeringError(
                f"The vector file has format version {card['version']}.",
                f"version {FORMAT_VERSION}.",
                "Update the workbench, or extract the vector again.",
            )
        provenance = dict(card["provenance"])
        for field in ("n_train", "n_validation"):
            provenance[field] = tuple(provenance[field])
        return cls(
            name=str(card["name"]),
            site=card["site"],
            default_block=int(card["default_block"]),
            default_block_reason=str(card["default_block_reason"]),
            suggested_strength=float(card["suggested_strength"]),
            provenance=Provenance(**provenance),
            directions=tensors["directions"],
            mean_differences=tensors["mean_differences"],
            residual_norms=tensors["residual_norms"],
            auroc=tensors.get("auroc"),
            auroc_low=tensors.get("auroc_low"),
            auroc_high=tensors.get("auroc_high"),
        )


_REMAKE = "Extract the vector again."


def _foreign(path: Path, reason: str) -> SteeringError:
    return SteeringError(
        f"'{path.name}' is no vector file: {reason}.",
        "a safetensors file written by the workbench.",
        "Choose another file, or extract the vector again.",
    )


def _check_tensors(vector: SteeringVector) -> int:
    """Number of blocks, after checking that shapes agree and every number is finite."""
    directions = vector.directions
    if directions.ndim != 2:
        raise SteeringError(f"Directions of shape {tuple(directions.shape)}.", "shape (block, width).", _REMAKE)
    for name in ("mean_differences", "residual_norms", *_AUROC):
        tensor = getattr(vector, name)
        if tensor is not None and tensor.shape != directions.shape[:1]:
            raise SteeringError(f"{name} of shape {tuple(tensor.shape)}.", f"({len(directions)},).", _REMAKE)
    for name in _TENSORS:
        if not torch.isfinite(getattr(vector, name)).all():
            raise SteeringError(f"{name} that are not finite.", "finite numbers.", _REMAKE)
    norms = directions.norm(dim=-1)
    if not torch.allclose(norms, torch.ones_like(norms), atol=1e-3):  # float32 rows are unit within 1e-6
        block = int((norms - 1).abs().argmax())
        raise SteeringError(
            f"The direction of block {block} has norm {norms[block]:.4g}.",
            "unit directions (the two sides of the contrast set must differ at every block).",
            "Check that the contrast set's two sides are not the same texts, then extract again.",
        )
    return len(directions)
