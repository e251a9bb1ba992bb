"""The features of a crosscoder that seem one model's own: how they were found, whether they are, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import Place
from steering.names import short_name
from steering.studies.dictionaries.corpus import Ids
from steering.studies.dictionaries.crosscoders import Crosscoder
from steering.studies.dictionaries.effects import Effect, effects, start_of
from steering.studies.dictionaries.latent_scaling import Scaling, latent_scaling
from steering.studies.dictionaries.settings import CrosscoderSettings
from steering.studies.dictionaries.states import TokenStates


_PEAKS = 64
"""Tokens at which a feature is most active that are looked at."""
_SHOWN = 5
_LEANING = 5
"""Features of each side that are listed in any case."""
_BINS = 20
_PIECE = 2048


class Exclusive:
    """What a crosscoder says of two models, measured on held-out states."""

    def __init__(
        self,
        hosts: tuple[Host, Host],
        crosscoder: Crosscoder,
        settings: CrosscoderSettings,
        texts: Sequence[Ids],
        place: Place,
        states: list[TokenStates],
    ) -> None:
        """Find the features that lean to one model by the lengths of their decoders.

        Args:
            hosts: The base and the model that was tuned from it.
            crosscoder: Of both.
            settings: Of the study.
            texts: The held-out texts.
            place: Where the states are.
            states: Of both at the same tokens.
        """
        self.hosts, self.names = hosts, (short_name(hosts[0].name), short_name(hosts[1].name))
        self._crosscoder, self._settings, self._texts, self._place = crosscoder, settings, texts, place
        self._tokens = states[0]
        self._states = torch.stack([each.at[place] for each in states])
        self.relative = crosscoder.relative
        self.fires, self._peaks = self._looked_at()
        self.features = self._one_sided()
        self.own = (self.relative[self.features] > 0.5).long()
        self.by_norm = self._distance(self.features) <= settings.exclusive
        """Which of them seem one model's own by their lengths alone."""
        self.scaling: Scaling | None = None
        self.effects: dict[int, Effect] = {}
        """By feature."""

    def _distance(self, features: Tensor) -> Tensor:
        """How far relative norms are from the nearer end."""
        return torch.minimum(self.relative[features], 1 - self.relative[features])

    def _one_sided(self) -> Tensor:
        """The active features that seem one model's own, and of each side at least the few that lean to it most."""
        alive = (self.fires > 0).nonzero()[:, 0]
        found = alive[self._distance(alive) <= self._settings.exclusive]
        for side in (self.relative[alive] < 0.5, self.relative[alive] > 0.5):
            leaning = alive[side]
            order = self._distance(leaning).argsort(stable=True)
            found = torch.cat([found, leaning[order[:_LEANING]]])
        return found.unique()

    def _looked_at(self) -> tuple[Tensor, Tensor]:
        """At how many tokens each feature is active, and at which it is most, (feature, rank); -1 behind the last."""
        fires = torch.zeros(len(self.relative), dtype=torch.long)
        values = torch.zeros(0, len(self.relative))
        tokens = torch.zeros(0, len(self.relative), dtype=torch.long)
        for start in range(0, self._states.shape[1], _PIECE):
            active = self._crosscoder.encode(self._states[:, start : start + _PIECE])
            fires += (active > 0).sum(dim=0)
            some, places = active.topk(min(_PEAKS, len(active)), dim=0)
            values, tokens = torch.cat([values, some]), torch.cat([tokens, places + start])
            values, order = values.topk(min(_PEAKS, len(values)), dim=0)
            tokens = tokens.gather(0, order)
        return fires, torch.where(values > 0, tokens, -1).T

    def measure(self, job: Job[Any]) -> None:
        """Hold the candidates against Latent Scaling, and try the most active of each model for their effect. Call on
        the model thread.
        """
        self.scaling = latent_scaling(self._crosscoder, self._states, self.features, self.own)
        chosen = self._chosen()
        if self.why_no_effects or not chosen:
            return
        numbers = [int(self.features[index]) for index in chosen]
        measured = effects(
            self.hosts,
            self._crosscoder,
            self._place,
            self._texts,
            self._tokens,
            self._peaks[self.features[chosen]],
            [(number, int(self.own[index])) for number, index in zip(numbers, chosen, strict=True)],
            seed=self._settings.seed,
            report=lambda done: job.report(done, len(chosen), "features tried for their effect"),
        )
        self.effects = dict(zip(numbers, measured, strict=True))

    @property
    def exclusive(self) -> Tensor:
        """Which of the candidates are one model's own, by their lengths and by Latent Scaling."""
        assert self.scaling is not None
        return self.by_norm & self.scaling.exclusive

    @property
    def why_no_effects(self) -> str:
        """Why effects are not measured, in a sentence; "" where they are."""
        if all(start_of(host, self._place) is not None for host in self.hosts):
            return ""
        return (
            "Effects are not measured here: a pass has to begin with edited states behind the place, which it can at a "
            "block's output (but the last one's), or a block's input (but the first one's), where blocks hand each "
            "other states alone."
        )

    def _chosen(self) -> list[int]:
        """The most active candidates of each model, those that Latent Scaling leaves first: indices of `features`."""
        assert self.scaling is not None
        passed, by_norm, fires = self.exclusive.tolist(), self.by_norm.tolist(), self.fires[self.features].tolist()
        order = sorted(range(len(fires)), key=lambda index: (not passed[index], not by_norm[index], -fires[index]))
        both = [[index for index in order if int(self.own[index]) == model] for model in (0, 1)]
        return [index for each in both for index in each[: self._settings.effects]]

    @property
    def table(self) -> pd.DataFrame:
        """A row a feature: what is one model's own, what seems so, what leans that way; the most active ones ahead."""
        assert self.scaling is not None
        rows = []
        for index, feature in enumerate(self.features.tolist()):
            effect = self.effects.get(feature)
            rows.append(
                {
                    "feature": feature,
                    "model": self.names[int(self.own[index])],
                    "relative_norm": float(self.relative[feature]),
                    "fires": int(self.fires[feature]),
                    "by_norm": bool(self.by_norm[index]),
                    "nu_error": float(self.scaling.error[index]),
                    "nu_reconstruction": float(self.scaling.reconstruction[index]),
                    "exclusive": bool(self.exclusive[index]),
                    **{f"kl_{name}": getattr(effect, name, None) for name in _EFFECTS},
                    "effect_n": effect.n if effect else 0,
                    "token": " ".join(self._shown(feature)),
                }
            )
        found = pd.DataFrame(rows, columns=list(_COLUMNS))
        return found.sort_values(["exclusive", "by_norm", "fires"], ascending=False, kind="stable", ignore_index=True)

    def _shown(self, feature: int) -> list[str]:
        """The tokens at which a feature is most active, each once."""
        ids = [self._id(token) for token in self._peaks[feature].tolist() if token >= 0]
        return [repr(self.hosts[1].tokenizer.decode([each])) for each in list(dict.fromkeys(ids))[:_SHOWN]]

    def _id(self, token: int) -> int:
        return self._texts[int(self._tokens.text[token])][int(self._tokens.place[token])]

    @property
    def norms(self) -> pd.DataFrame:
        """How many features have which relative norm."""
        bins = (self.relative * _BINS).long().clamp(0, _BINS - 1)
        alive = self.fires > 0
        counts = [torch.bincount(bins[which], minlength=_BINS).tolist() for which in (alive, ~alive)]
        edges = [index / _BINS for index in range(_BINS + 1)]
        return pd.DataFrame({"from": edges[:-1], "to": edges[1:], "features": counts[0], "dead": counts[1]})


_EFFECTS = ("without", "random", "other", "other_without")
_COLUMNS = (
    "feature",
    "model",
    "relative_norm",
    "fires",
    "by_norm",
    "nu_error",
    "nu_reconstruction",
    "exclusive",
    *(f"kl_{name}" for name in _EFFECTS),
    "effect_n",
    "token",
)
