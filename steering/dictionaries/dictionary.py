"""A sparse dictionary: what it reads and gives, and how states become activations of its features and back.

A state x is written as x ≈ Σ a_i d_i + b, with few of the activations a_i above 0 (Cunningham et al. 2023,
arXiv:2309.08600; Bricken et al. 2023). An autoencoder gives back the state that it reads; a transcoder reads what
enters an MLP and gives what the MLP gives (Dunefsky et al. 2024, arXiv:2406.11944). Changing a feature changes the
state by `contribution`, so that what the dictionary does not explain stays as it is. Crosscoders and cross-layer
transcoders are looked at and never written by: encoding takes what they read, decoder rows are those of one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from steering.dictionaries import encoding
from steering.dictionaries.asked import check_given, check_states, numbers_of
from steering.dictionaries.inputs import Input
from steering.dictionaries.layers import Layers
from steering.dictionaries.sparse import SparseActivations
from steering.errors import SteeringError
from steering.model.sites import ReadPlace, Site


Kind = Literal["autoencoder", "transcoder", "crosscoder", "cross-layer transcoder"]
Where = ReadPlace
"""A block, counted from 0, and what is read there."""
PIECE = 1 << 24
"""Pre-activations that stand at once: 64 MB."""


@dataclass(frozen=True, eq=False, repr=False)
class Dictionary:
    """A sparse dictionary on some device; from `load_dictionary`, which says what it is and where it belongs."""

    name: str
    source: str
    """`load_dictionary(source)` loads it again."""
    digest: str
    """Of its weights and of what encoding depends on, hex."""
    kind: Kind
    architecture: str
    """As sae-lens names it: `topk`, `jumprelu_transcoder`."""
    reads: Where
    gives: tuple[int, Site]
    """Equal to `reads` for an autoencoder; of a crosscoder both are the place whose decoder rows are looked at."""
    model: str
    """Which model it says it was trained on; "" where it does not."""
    sae: Any
    """The `sae_lens` object, in float32, on the CPU until it is moved."""
    card: Mapping[str, Any]
    """What is known of it beside the weights: `card.json`, or the configuration's own words."""
    notes: tuple[str, ...] = ()
    """What is not as usual, a sentence each."""
    hooks: tuple[str, str] = ("", "")
    """By which names its files say what it reads and gives; "" where that was told."""
    centred: bool = False
    """Whether it was trained on states without their mean; it is taken off and put back here."""
    before_weight: bool = False
    """Whether it reads the normed state that enters the MLP as it is before the norm's learnt weight."""
    norm: tuple[Tensor, Tensor] | None = None
    """Of such a one on a model: the norm's factor and addend, (width,) each; see `steering.dictionaries.normed`."""
    inputs: tuple[Input, ...] = ()
    """What it reads where that is more than the state at `reads`."""
    read_only: str = ""
    """Why it can be looked at and nothing be written by it, a sentence; "" where it is a dictionary of one state."""
    layers: Layers | None = None
    """The files of all blocks of a cross-layer transcoder, whose features together give what a block's MLP gives."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """The other models that it reads, by name, once it was brought to one; see `steering.dictionaries.beside`."""

    def __repr__(self) -> str:
        places = " to ".join(dict.fromkeys(f"block {block} {site}" for block, site in (self.reads, self.gives)))
        kind = f"{self.architecture} autoencoder" if self.kind == "autoencoder" else self.architecture
        model = f" of {self.model}" if self.model else ""
        return f"<Dictionary '{self.name}': {kind}{model}, {places}, {self.n_features:,} features, width {self.width}>"

    @property
    def n_features(self) -> int:
        return int(self.sae.cfg.d_sae)

    @property
    def width(self) -> int:
        """Of what it reads; of several states side by side, of all of them."""
        return int(self.sae.cfg.d_in)

    @property
    def read_from(self) -> tuple[Input, ...]:
        """What it reads, side by side."""
        return self.inputs or (Input((self.reads,)),)

    @property
    def width_in(self) -> int:
        """Of each state that it reads."""
        return self.width // len(self.read_from)

    @property
    def width_out(self) -> int:
        """Of the states that it gives."""
        return int(self.sae.W_dec.shape[1])

    @property
    def why_not_edited(self) -> str:
        """Why its features cannot be changed one by one at a token; "" where they can."""
        if self.read_only:
            return self.read_only
        if self.architecture == "temporal":
            return (
                "What a temporal dictionary gives at a token also comes from the tokens before, so that a feature's "
                "change at one token is not what it adds there."
            )
        return ""

    @property
    def why_not_given(self) -> str:
        """Why its own features do not give a state back; "" where they do."""
        return "One block's features give a part of what an MLP gives." if self.layers is not None else ""

    def check_edited(self, what: str) -> None:
        """Raise where its features cannot be changed.

        Args:
            what: What was to be done, a sentence.

        Raises:
            SteeringError: With why.
        """
        if self.why_not_edited:
            raise SteeringError(
                f"{what} {self.why_not_edited}",
                "a dictionary of one state: an autoencoder, or a transcoder of one MLP."
                if self.read_only
                else "a dictionary that reads each token by itself.",
                "Choose another dictionary; this one can be looked at.",
            )

    def to(self, device: torch.device | str) -> Dictionary:
        """Itself, with its weights on a device."""
        self.sae.to(device)
        return self

    @torch.no_grad()
    def encode(self, states: Tensor) -> SparseActivations:
        """The active features of states, piece by piece, so that they never stand densely for all tokens.

        Args:
            states: Raw states, (token, width), several inputs side by side; of a temporal dictionary (text, token,
                width), since each activation depends on the tokens before, which gives all texts' tokens in a row.

        Raises:
            SteeringError: Another width, or tokens of a temporal dictionary without their texts.
        """
        states = self._checked(states)
        parts = [self._encode_piece(piece) for piece in self._pieces(states)]
        return SparseActivations.joined(parts).to(states.device)

    def activations(self, states: Tensor, features: Sequence[int] | Tensor) -> Tensor:
        """Activations of some features, as `encode` gives them: (..., len(features)), on the states' device.

        Gradients reach the states where these want them; states and features as `encode` and `decoder` take them.
        """
        states, index = self._checked(states), self._index(features)
        pieces = [self._some(piece, index) for piece in self._pieces(states)]
        return torch.cat(pieces).reshape(*states.shape[:-1], len(index)).to(states.device)

    @torch.no_grad()
    def decode(self, activations: SparseActivations) -> Tensor:
        """What activations stand for: (token, width_out), raw, on their device; of a skip transcoder without the skip.

        Decoding is a sum of decoder rows plus a bias, put back to the units that the states had on their way in.
        """
        check_given(self.name, self.why_not_given)
        sae, device = self.sae, activations.values.device
        features, values = activations.features.to(sae.device), activations.values.to(sae.device)
        if getattr(sae.cfg, "rescale_acts_by_decoder_norm", False):
            values = values / sae.W_dec.norm(dim=-1)[features]
        total = torch.nn.functional.embedding_bag(
            features,
            sae.W_dec,
            activations.offsets.to(sae.device),
            mode="sum",
            per_sample_weights=values,
            include_last_offset=True,
        )
        if self._has_bias:
            total = total + sae.b_dec
        if activations.scale is not None:
            total = total * activations.scale.to(total.device)
        if activations.shift is not None:
            total = total + activations.shift.to(total.device)
        return total.to(device)

    @torch.no_grad()
    def reconstruct(self, states: Tensor) -> Tensor:
        """What the dictionary gives for raw states, (..., width_out), a skip included: sae-lens' own forward pass."""
        states = self._checked(states)
        given = torch.cat([self._given_for(piece) for piece in self._pieces(states)])
        return given.reshape(*states.shape[:-1], self.width_out).to(states.device)

    @torch.no_grad()
    def decoder(self, features: Sequence[int] | Tensor) -> Tensor:
        """The directions d_i of features, one a row: (len(features), width_out), float32.

        They are in units of the state where states are not normalised on their way in (`contribution` honours that).
        """
        index = self._index(features)
        rows = self.sae.W_dec[index]
        if getattr(self.sae.cfg, "rescale_acts_by_decoder_norm", False):
            rows = rows / rows.norm(dim=-1, keepdim=True)
        return rows

    def contribution(self, states: Tensor, features: Sequence[int] | Tensor, changes: Tensor) -> Tensor:
        """What a change of activations adds to the state that the dictionary gives: s Σ Δa_i d_i, (..., width_out).

        Args:
            states: The raw states that were read, (..., width): their length is s where states are normalised.
            features: Which, by number.
            changes: New activation minus old, (..., len(features)).

        Raises:
            SteeringError: A dictionary whose features cannot be changed one by one.
        """
        self.check_edited(f"A feature of '{self.name}' was to be changed.")
        scale = encoding.normalised(self.sae, states.float().to(self.sae.device), centred=self.centred)[1]
        added = changes.float().to(self.sae.device) @ self.decoder(features)
        return (added if scale is None else added * scale).to(changes.device)

    @property
    def _has_bias(self) -> bool:
        """Whether decoding adds `b_dec`: the two tied kinds of sae-lens only do where it was taken off before."""
        if self.architecture == "matching_pursuit":
            return bool(self.sae.cfg.apply_b_dec_to_input)
        if self.architecture == "temporal":
            return bool(not self.sae.cfg.tied_weights or self.sae.cfg.apply_b_dec_to_input)
        return True

    def _encode_piece(self, states: Tensor) -> SparseActivations:
        inputs, scale, shift = encoding.normalised(self.sae, states, centred=self.centred)
        if self.architecture in encoding.OWN_ENCODE:
            dense = self._own_encode(states)
            rows, features = dense.nonzero(as_tuple=True)
            values, counts = dense[rows, features], torch.bincount(rows, minlength=len(dense))
        else:
            features, values, counts = encoding.active(self.sae, inputs)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        flat = [None if each is None else each.flatten(0, -2) for each in (scale, shift)]
        return SparseActivations(offsets, features, values, self.n_features, *flat)

    def _some(self, states: Tensor, index: Tensor) -> Tensor:
        if self.architecture in encoding.OWN_ENCODE:
            return self._own_encode(states)[:, index]
        return encoding.some(self.sae, encoding.normalised(self.sae, states, centred=self.centred)[0], index)

    def _own_encode(self, states: Tensor) -> Tensor:
        """Dense activations by sae-lens itself, which normalises on its own: (token, feature)."""
        if self.centred:
            states = states - states.mean(dim=-1, keepdim=True)
        found: Tensor = self.sae.encode(states)
        return found.flatten(0, -2)

    def _given_for(self, states: Tensor) -> Tensor:
        if self.architecture == "temporal":  # what it foretells from earlier tokens belongs to it
            given: Tensor = self.sae(states)
            return given.flatten(0, -2)
        given = self.decode(self._encode_piece(states))
        skip = getattr(self.sae, "W_skip", None)
        return given if skip is None else given + states @ skip.T

    def _pieces(self, states: Tensor) -> Iterator[Tensor]:
        """States on the dictionary's device, as many at once as `PIECE` allows; of a temporal one a text at a time."""
        if self.architecture == "temporal":
            yield from (text[None].to(self.sae.device) for text in states)
            return
        rows = max(1, PIECE // self.n_features)
        flat = states.reshape(-1, states.shape[-1])
        yield from (piece.to(self.sae.device) for piece in flat.split(rows))

    def _checked(self, states: Tensor) -> Tensor:
        check_states(self.name, states, self.width, texts=self.architecture == "temporal")
        return self._before_weight(states.float()) if self.before_weight else states.float()

    def _before_weight(self, states: Tensor) -> Tensor:
        if self.norm is None:
            raise SteeringError(
                f"The dictionary '{self.name}' reads the normed state before the norm's learnt weight.",
                "the dictionary as it reads a model's states.",
                "Bring it to the model first: `steering.dictionaries.normed.on_model(dictionary, host)`.",
            )
        factor, addend = (each.to(states.device) for each in self.norm)
        return (states - addend) / factor

    def _index(self, features: Sequence[int] | Tensor) -> Tensor:
        return numbers_of(self.name, features, self.n_features).to(self.sae.device)
