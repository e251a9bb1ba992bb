"""The files of a cross-layer transcoder (Ameisen et al. 2025, "Circuit Tracing"): features of their own in every block,
each of which gives to its own block and to all behind it.

What the MLP of block l gives is Σ_{k ≤ l} a_k D_{k→l} + b_l, with a_k the features of block k. The decoders of a block
for all blocks behind it are by far the largest part, so they stay in their files: only the rows that are wanted are
read, for the one block that they are wanted of. Two layouts:

| | encoder | decoder |
|---|---|---|
| circuit-tracer | `W_enc_3.safetensors`: W_enc_3 (feature, width), b_enc_3, b_dec_3, threshold_3 | `W_dec_3.safetensors`: W_dec_3 (feature, blocks from 3 on, width) |
| Gemma Scope 2 | `params_layer_3.safetensors`: w_enc (width, feature), b_enc, b_dec, threshold | w_dec (feature, all blocks, width) in the same file |
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from steering.dictionaries.files import check_finite, check_tensor_file, unreadable
from steering.errors import SteeringError
from steering.paths import is_file


CIRCUIT = re.compile(r"W_enc_(\d{1,5})\.safetensors")
GEMMA = re.compile(r"params_layer_(\d{1,5})\.safetensors")
_ROWS = 1 << 25
"""Numbers of a decoder that stand at once: 128 MB."""
_TOKENS = 512
"""Tokens whose activations stand at once."""


@dataclass(frozen=True)
class Encoder:
    """How the features of one block are found, in float32."""

    weight: Tensor
    """(width, feature)."""
    bias: Tensor
    """(feature,)."""
    threshold: Tensor | None
    """What a pre-activation must exceed, (feature,); None for 0."""
    given_bias: Tensor
    """Of what the block's MLP gives, (width,)."""
    skip: Tensor | None
    """What else is given of what is read, (width read, width given); None where nothing is."""


@dataclass(frozen=True)
class Layers:
    """The folder, which is looked into again whenever something is wanted of it, and the layer that is looked at."""

    folder: Path
    own: int
    """Which layer is looked at."""
    blocks: tuple[int, ...]
    """The blocks of layer 0, 1, …: a crosscoder over some blocks has few."""
    gemma: bool = False
    """Whether its files are of Gemma Scope 2."""

    def encoder_file(self, number: int) -> Path:
        """The file with the encoder of a layer."""
        return self.folder / (f"params_layer_{number}.safetensors" if self.gemma else f"W_enc_{number}.safetensors")

    def decoder_file(self, number: int) -> Path:
        """The file with the decoder of a layer."""
        return self.encoder_file(number) if self.gemma else self.folder / f"W_dec_{number}.safetensors"

    def sources(self) -> tuple[int, ...]:
        """The layers that give to the own one: itself and all before it."""
        return tuple(range(self.own + 1))

    @property
    def missing(self) -> str:
        """The first file that is not there of those that give to the own layer, by name; "" where all are."""
        wanted = (path for each in self.sources() for path in (self.encoder_file(each), self.decoder_file(each)))
        return next((path.name for path in wanted if not is_file(path)), "")

    def encoder(self, number: int) -> Encoder:
        """The encoder of a layer, read now.

        Raises:
            SteeringError: It is not there, damaged, of other shapes, or not finite.
        """
        path, end = self.encoder_file(number), "" if self.gemma else f"_{number}"
        names = ("w_enc", "b_enc", "b_dec") if self.gemma else ("W_enc", "b_enc", "b_dec")
        with _opened(path) as file:
            there = set(file.keys())
            if lacking := [name + end for name in names if name + end not in there]:
                raise _lacks(path, lacking)
            weight, bias, given = (file.get_tensor(name + end).float() for name in names)
            threshold = file.get_tensor(f"threshold{end}").float() if f"threshold{end}" in there else None
            skip = file.get_tensor("affine_skip_connection").float() if "affine_skip_connection" in there else None
        weight = weight if self.gemma else weight.T
        known = {"W_enc": weight, "b_enc": bias, "b_dec": given}
        known |= {name: each for name, each in (("threshold", threshold), ("skip", skip)) if each is not None}
        for name, tensor in known.items():
            check_finite(path, name, tensor)
        features, width = len(bias), len(given)
        wrong = bias.ndim != 1 or tuple(weight.shape) != (width, features)
        wrong = wrong or (threshold is not None and threshold.numel() not in (1, features))
        wrong = wrong or (skip is not None and tuple(skip.shape) != (width, width))
        if wrong:
            raise _shapes(path, f"an encoder of {tuple(weight.shape)} for {features} features")
        threshold = None if threshold is None else threshold.flatten().expand(features)
        return Encoder(weight.contiguous(), bias, threshold, given, skip)

    def decoder(self, number: int, to: int, features: Sequence[int] | None = None) -> Tensor:
        """What features of one layer give to another one, (feature, width); only that is read of the file.

        Args:
            number: Whose features.
            to: The layer that is given to.
            features: Which; all where None.

        Raises:
            SteeringError: The file is not there, damaged, of another shape, or holds numbers that are not finite.
        """
        path, name = self.decoder_file(number), "w_dec" if self.gemma else f"W_dec_{number}"
        with _opened(path) as file:
            if name not in file.keys():  # noqa: SIM118
                raise _lacks(path, [name])
            held = file.get_slice(name)
            shape, place = held.get_shape(), to if self.gemma else to - number
            if len(shape) != 3 or not 0 <= place < shape[1]:
                raise _shapes(path, f"a decoder of {tuple(shape)}, which has nothing for layer {to}")
            rows: Tensor = held[:, place] if features is None else held[list(features), place]
            rows = rows.float()
        check_finite(path, name, rows)
        return rows

    @torch.no_grad()
    def given(self, states: Sequence[Tensor]) -> Tensor:
        """What the own layer's MLP is held to give, by the features of all layers that give to it, (token, width).

        Args:
            states: What each of `sources()` reads of the same tokens, (token, width) each.

        Raises:
            SteeringError: As `encoder` and `decoder`.
        """
        total: Tensor | None = None
        for source, read in zip(self.sources(), states, strict=True):
            encoder = self.encoder(source)
            if total is None:
                total = torch.zeros(len(read), len(encoder.given_bias), device=read.device)
            for start in range(0, len(read), _TOKENS):
                total[start : start + _TOKENS] += self._part(source, encoder, read[start : start + _TOKENS])
            if source == self.own:
                total += encoder.given_bias.to(total.device)
                if encoder.skip is not None:
                    total += read.float() @ encoder.skip.to(read.device)
        assert total is not None
        return total

    def _part(self, source: int, encoder: Encoder, read: Tensor) -> Tensor:
        """What one layer's features give of some tokens."""
        found = activations(encoder, read)
        features = found.amax(dim=0).nonzero()[:, 0]
        part = torch.zeros(len(read), len(encoder.given_bias), device=read.device)
        for some in features.split(max(1, _ROWS // len(encoder.given_bias))):
            part += found[:, some] @ self.decoder(source, self.own, some.tolist()).to(read.device)
        return part


def activations(encoder: Encoder, read: Tensor) -> Tensor:
    """a = z where z = x W + b exceeds the threshold, else 0: (token, feature) of (token, width)."""
    before = torch.addmm(encoder.bias.to(read.device), read.float(), encoder.weight.to(read.device))
    if encoder.threshold is None:
        return before.relu()
    return before * (before > encoder.threshold.to(read.device).clamp(min=0))


def layers_in(folder: Path) -> dict[int, Path]:
    """The files with encoders in a folder, by layer, rising; none where it holds no cross-layer transcoder."""
    found: dict[int, Path] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := CIRCUIT.fullmatch(path.name) or GEMMA.fullmatch(path.name):
            found[int(match[1])] = path
    return dict(sorted(found.items()))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    check_tensor_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SteeringError:
        raise
    except Exception as error:  # safetensors raises its own
        raise unreadable(path, error) from error


def _lacks(path: Path, names: Sequence[str]) -> SteeringError:
    return SteeringError(
        f"{path} has no {', '.join(names)}.",
        "the file of one layer of a cross-layer transcoder, as circuit-tracer or Gemma Scope 2 writes it.",
        "Fetch the file again.",
    )


def _shapes(path: Path, what: str) -> SteeringError:
    return SteeringError(f"{path} holds {what}.", "an encoder and decoders of the same size.", "Fetch the file again.")
