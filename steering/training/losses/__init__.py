"""Losses by which a steering vector is trained, one a file; packages add more."""

from __future__ import annotations

from steering.plugins import Registry, of_class
from steering.training.losses.bco import BCO
from steering.training.losses.bipo import BIPO
from steering.training.losses.dpo import DPO
from steering.training.losses.ipo import IPO
from steering.training.losses.kto import KTO
from steering.training.losses.loss import Loss, Side, Views
from steering.training.losses.orpo import ORPO
from steering.training.losses.poft import POFT
from steering.training.losses.reft import REFT
from steering.training.losses.reps import REPS
from steering.training.losses.rlvr import RLVR
from steering.training.losses.sft import SFT
from steering.training.losses.simpo import SIMPO


__all__ = ["LOSSES", "Loss", "Side", "Views"]

LOSSES: Registry[Loss] = Registry(
    "loss",
    of_class("loss", Loss),
    {
        "sft": SFT,
        "dpo": DPO,
        "ipo": IPO,
        "orpo": ORPO,
        "simpo": SIMPO,
        "kto": KTO,
        "bco": BCO,
        "poft": POFT,
        "bipo": BIPO,
        "reps": REPS,
        "reft": REFT,
        "rlvr": RLVR,
    },
)
"""Every loss by the name that settings use."""
