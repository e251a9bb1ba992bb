"""A short name for a model's weights, so that what was computed on other weights is never taken for this model's."""

from __future__ import annotations

import hashlib
from weakref import WeakKeyDictionary

import torch

from steering.lane import Job
from steering.loading.placement import fetched
from steering.model.host import Host


_SAMPLES = 16
_READ_BEHIND_THOUGHTS = "2"
"""Tells apart what was kept when readings still began where a thought does."""
_KNOWN: WeakKeyDictionary[Host, str] = WeakKeyDictionary()


def fingerprint(host: Host) -> str:
    """A digest of the model's name, precision, chat template and settings, and of some values of every tensor of its
    weights.

    It tells models and trainings apart; a change of a few single weights may escape it.
    """
    base = host.base  # other chat settings are the same weights
    if base not in _KNOWN:
        _KNOWN[base] = base.run(lambda job: _read(base, job), title="Looking at the weights")
    weights = _KNOWN[base]
    if host.chat.default:
        return weights
    return hashlib.sha256(f"{weights}{_READ_BEHIND_THOUGHTS}{host.chat.to_json()}".encode()).hexdigest()[:16]


def _read(host: Host, job: Job[str]) -> str:
    info = host.info
    digest = hashlib.sha256(repr((info.name, info.dtype, info.template_digest)).encode())
    model = host.model._module
    for name in sorted(model.state_dict()):
        job.check()
        tensor = fetched(model, name).detach()
        flat = tensor.reshape(-1)
        # Through float, since half precision and packed bytes have no common way to become bytes.
        values = flat[:: max(1, len(flat) // _SAMPLES)][:_SAMPLES].to("cpu", torch.float32)
        digest.update(repr((name, tuple(tensor.shape), values.tolist())).encode())
    return digest.hexdigest()[:16]
