"""What a plan costs, asked again and again: the measure of strengths in nats, with all that no plan changes read once.

The 95th percentile over tokens of KL(unsteered || steered), on the unsteered model's own replies to everyday requests,
as `steering.recipes.nats` has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.sites import Place
from steering.passes.exact import divergence
from steering.recipes.nats import PERCENTILE, calibration_prompts, own_replies
from steering.training.scores import TOKENS, KnownTexts
from steering.writes.interventions import Plan


KEPT = 2**28
"""Bytes of unsteered logits that are kept; more are read anew every time."""


class Everyday:
    """The replies on which costs are measured. Call on the model thread."""

    def __init__(self, host: Host, places: Sequence[Place]) -> None:
        """Read them without a plan.

        Args:
            host: The model.
            places: Where plans write.
        """
        replied = own_replies(host, calibration_prompts())
        # What comes after a reply counts, too: any token stands for it, which itself is never read.
        self._known = KnownTexts(host, [(prompt, (*ids, 0)) for prompt, ids in replied], places)
        self._known.read()
        self._parts = self._known.parts(range(len(replied)), TOKENS)
        places_read = sum(len(ids) + 1 for _, ids in replied)
        kept = 4 * places_read * host.info.vocabulary <= KEPT
        self._bases = [self._logits(part, ()) for part in self._parts] if kept else None

    def cost(self, plan: Plan) -> float:
        """What a plan costs, nats."""
        found = [
            divergence(
                self._bases[place] if self._bases is not None else self._logits(part, ()), self._logits(part, plan)
            )
            for place, part in enumerate(self._parts)
        ]
        return float(np.percentile(torch.cat(found).numpy(), PERCENTILE))

    def _logits(self, part: Sequence[int], plan: Plan) -> Tensor:
        """At every token that counts, (token, vocabulary)."""
        logits, _, used = self._known.logits(part, lambda real: plan)
        return logits[used.to(logits.device)]
