"""Jobs and what comes of them as bytes, between the process that shows the page and the one that has the GPU.

A job's work is a function with what it holds on to. All of it is sent by value, but for three things that both sides
have: the model, its lane, and stores of finished parts. Stores are files of the page's process; of each, what it knows
is sent along, and what the job adds comes back.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from mmap import mmap
from typing import Any

import cloudpickle
import numpy as np
import torch

from steering.errors import SteeringError
from steering.lane import Job, Lane
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.store import Carried, Kept, Store
from workbench.bench import Workbench
from workbench.workspace import Workspace


_REFUSED = (torch.nn.Module, Host, Workbench, Workspace, Job)
"""What only one of the processes has; of hosts, others than the one that both have."""


class Crossing:
    """One side of the boundary, for one job; the other side has one with the same stores in the same order."""

    def __init__(self, host: Host, stores: Sequence[Kept] = ()) -> None:
        self.host = host
        self.stores: list[Kept] = list(stores)

    def pack(self, thing: Any) -> bytes:
        """Anything as bytes, for the other side.

        Raises:
            SteeringError: It holds something that only this process has.
        """
        file = io.BytesIO()
        try:
            _Pickler(file, self).dump(thing)
        except SteeringError:
            raise
        except Exception as error:  # whatever has no form as bytes raises what it likes
            raise _refused(f"something that cannot be sent ({str(error)[:150] or type(error).__name__})") from error
        return file.getvalue()

    def unpack(self, data: bytes) -> Any:
        """What the other side packed."""
        return _Unpickler(io.BytesIO(data), self).load()

    def number_of(self, store: Kept) -> int:
        """A store by its place among those that crossed; one that is new here takes the next."""
        for number, known in enumerate(self.stores):
            if known is store:
                return number
        self.stores.append(store)
        return len(self.stores) - 1


class _Pickler(cloudpickle.Pickler):
    def __init__(self, file: io.BytesIO, crossing: Crossing) -> None:
        super().__init__(file)
        self._crossing = crossing

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, Host) and thing.base is self._crossing.host.base:
            return "host", thing.chat.model_dump_json()
        if isinstance(thing, Lane):
            return "lane", ""
        if isinstance(thing, Store | Carried):
            return "store", self._crossing.number_of(thing)
        if isinstance(thing, _REFUSED):
            raise _refused(f"a {type(thing).__name__}")
        return None

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, np.memmap) and isinstance(thing.base, mmap):  # whole, and not a part of it
            return np.load, (str(thing.filename), "r")  # both see the same disk
        if isinstance(thing, torch.Tensor) and thing.device.type != "cpu":
            return thing.cpu().__reduce_ex__(pickle.HIGHEST_PROTOCOL)  # the page's process has no GPU
        return super().reducer_override(thing)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, crossing: Crossing) -> None:
        super().__init__(file)
        self._crossing = crossing

    def persistent_load(self, named: Any) -> Any:
        kind, which = named
        if kind == "host":
            return self._crossing.host.under(ChatSettings.model_validate_json(which))
        return self._crossing.host.lane if kind == "lane" else self._crossing.stores[which]


def _refused(what: str) -> SteeringError:
    return SteeringError(
        f"This cannot be done on a Space, whose GPU is another process's: the job holds {what}.",
        "a job that holds on to the model, vectors, settings and plain data.",
        "Run it on a workbench of your own. Whoever wrote the panel: take what the job needs out of the page first.",
    )
