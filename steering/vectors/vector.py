"""SteeringVector: one direction per block, its scale, how well it separates, and where it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.forms.shown import Shown
from steering.model.sites import SITES, Site, site_words
from steering.names import short_name
from steering.vectors.feature import Feature


if TYPE_CHECKING:
    from steering.model.host import Host

TENSORS = ("directions", "mean_differences", "residual_norms")
AUROC = ("auroc", "auroc_low", "auroc_high")
TRAINED = "trained by "
"""How the method of a vector begins that was trained; the loss stands behind it."""
MAYBE = ("references", "accuracy", "accuracy_low", "accuracy_high", "split_half", "explained")


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
    licence: str = ""
    """Of the contrast set's texts, as its author states it."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What else the method was told."""
    base: str | None = None
    """What the model's adapter was applied to, where `model` is an adapter."""
    warnings: tuple[str, ...] = ()
    """Self-checks that the model failed and the vector depends on, a sentence each."""

    @property
    def elsewhere(self) -> bool:
        """Whether another tool made the vector: nothing was measured of it here."""
        return not any(self.n_train)

    @property
    def trained(self) -> bool:
        """Whether the vector was trained on preferences: nothing is known of it but at the blocks where it was."""
        return self.method.startswith(TRAINED)

    @classmethod
    def made_elsewhere(cls, **known: Any) -> Provenance:
        """What is known of a vector that was not extracted here; the rest is empty."""
        empty: dict[str, Any] = dict.fromkeys(_WORDS, "")
        none: dict[str, Any] = {"n_train": (0, 0), "n_validation": (0, 0), "seed": 0, "versions": {}}
        return cls(**{**empty, **none, "revision": None, "template_digest": None, **known})


_WORDS = (
    "method",
    "pooling",
    "contrast",
    "contrast_digest",
    "positive_label",
    "negative_label",
    "model",
    "model_source",
    "architecture",
    "dtype",
    "created",
)


@dataclass(frozen=True, eq=False)
class Eraser:
    """The maps x - l (r·(x - m)) that erase one concept, one a block."""

    left: Tensor
    """l, float32, (block, width)."""
    right: Tensor
    """r, float32, (block, width)."""
    mean: Tensor
    """m, float32, (block, width)."""


@dataclass(frozen=True, eq=False, repr=False)
class SteeringVector(Shown):
    """A concept's direction in every block of one model. See `steering.vectors.files` for its file."""

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
    references: Tensor | None = None
    """Where the negative side's mean lies along the direction, raw units, float32, (block,): the zero of affine edits,
    clamps and gates.
    """
    accuracy: Tensor | None = None
    """Held-out share of prompts on their own side of the middle between the two training means, the mean of both sides,
    (block,).
    """
    accuracy_low: Tensor | None = None
    """Lower ends of its 95 % intervals, (block,)."""
    accuracy_high: Tensor | None = None
    """Upper ends, (block,)."""
    split_half: Tensor | None = None
    """Cosine of the directions from the even and from the odd training prompts, (block,)."""
    explained: Tensor | None = None
    """Share of the variance that each block's direction holds, where the method has one, float32, (block,)."""
    eraser: Eraser | None = None
    """A map that erases the concept, where the method has one."""
    feature: Feature | None = None
    """The feature of a dictionary whose direction it is. Then its block alone has a length: what the feature's typical
    maximum adds.
    """

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
    def measure(self) -> str:
        """What a strength of 1 is called."""
        if self.feature is not None:
            return "typical maximum"
        return "trained length" if self.provenance.trained else "mean difference"

    @property
    def best_auroc(self) -> float | None:
        """The default block's held-out AUROC."""
        return None if self.auroc is None else float(self.auroc[self.default_block])

    @property
    def digest(self) -> str:
        """First 12 hex digits of a SHA-256 over the directions and scales; the name does not count."""
        content = hashlib.sha256(self.site.encode())
        for name in TENSORS:
            content.update(getattr(self, name).contiguous().numpy().tobytes())
        return content.hexdigest()[:12]

    @property
    def content(self) -> str:
        """Digest of all that writing the vector depends on: `digest`, default block, references, eraser and feature."""
        eraser = () if self.eraser is None else tuple(getattr(self.eraser, f.name) for f in fields(self.eraser))
        content = hashlib.sha256(repr((self.digest, self.default_block)).encode())
        for tensor in (self.references, *eraser):
            content.update(b"-" if tensor is None else tensor.contiguous().numpy().tobytes())
        if self.feature:
            content.update(repr((self.feature.digest, self.feature.index, self.feature.maximum)).encode())
        return content.hexdigest()[:16]

    def __repr__(self) -> str:
        at = f"block {self.default_block} ({site_words(self.site)})"
        auroc = "" if self.best_auroc is None else f", AUROC {self.best_auroc:.3f}"
        feature = f", {self.feature.words}" if self.feature else ""
        return f"<SteeringVector '{self.name}': {self.n_blocks} blocks × {self.width}, {at}{auroc}{feature}>"

    def __str__(self) -> str:
        from steering.vectors.shown import vector_text  # which draws figures

        return vector_text(self)

    def _repr_html_(self) -> str:
        from steering.vectors.shown import vector_html  # as above

        return vector_html(self)

    def misfit(self, host: Host) -> str | None:
        """Why the vector cannot be used on a model, None where it can."""
        if (self.width, self.n_blocks) != (host.info.width, host.info.blocks):
            return (
                f"made for {self.n_blocks} blocks × width {self.width}, "
                f"{short_name(host.name)} has {host.info.blocks} × {host.info.width}"
            )
        return None

    def caution(self, host: Host) -> str | None:
        """Why the vector may mean nothing on a model that it fits, None where it was made for that model."""
        made, other = self.provenance, short_name(host.name)
        of = f"'{self.name}' was made for {short_name(made.model)}"
        if not made.model:
            return f"'{self.name}' does not say for which model it was made."
        if made.model != host.name:
            return f"{of}, not for {other}, where it may mean something else."
        if made.template_digest != host.info.template_digest and made.template_digest is not None:
            return f"{of} with another chat template."
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


_REMAKE = "Extract the vector again."


def _check_tensors(vector: SteeringVector) -> int:
    """Number of blocks, after checking that shapes agree and every number is finite."""
    directions = vector.directions
    if directions.ndim != 2:
        raise SteeringError(f"Directions of shape {tuple(directions.shape)}.", "shape (block, width).", _REMAKE)
    for name in ("mean_differences", "residual_norms", *AUROC, *MAYBE):
        tensor = getattr(vector, name)
        if tensor is not None and tensor.shape != directions.shape[:1]:
            raise SteeringError(f"{name} of shape {tuple(tensor.shape)}.", f"({len(directions)},).", _REMAKE)
    parts = {name: getattr(vector, name) for name in (*TENSORS, *MAYBE)} | eraser_tensors(vector)
    for name, tensor in parts.items():
        if tensor is not None and not torch.isfinite(tensor).all():
            raise SteeringError(f"{name} that are not finite.", "finite numbers.", _REMAKE)
    for name, tensor in eraser_tensors(vector).items():
        if tensor.shape != directions.shape:
            raise SteeringError(f"{name} of shape {tuple(tensor.shape)}.", f"{tuple(directions.shape)}.", _REMAKE)
    norms = directions.norm(dim=-1)
    if not torch.allclose(norms, torch.ones_like(norms), atol=1e-3):  # float32 rows are unit within 1e-6
        block = int((norms - 1).abs().argmax())
        raise SteeringError(
            f"The direction of block {block} has norm {norms[block]:.4g}.",
            "unit directions (the two sides of the contrast set must differ at every block).",
            "Check that the contrast set's two sides are not the same texts, then extract again.",
        )
    return len(directions)


def eraser_tensors(vector: SteeringVector) -> dict[str, Tensor]:
    """The eraser's parts by the names they have in a file; none where there is no eraser."""
    if vector.eraser is None:
        return {}
    return {f"eraser_{name}": getattr(vector.eraser, name) for name in ("left", "right", "mean")}
