"""The place of the one model that all visitors of a workbench share."""

from __future__ import annotations

import threading
from typing import Any

from steering.errors import SteeringError
from steering.lane import Job, Lane
from steering.loading.options import LoadOptions
from steering.loading.tensor_parallel import check_undivided
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.passes.decoding import warm_up


class ModelSlot:
    """The model that every visitor of this workbench shares; loading another one keeps it until the new one stands."""

    def __init__(self, lane: Lane) -> None:
        self.host: Host | None = None
        self.error: BaseException | None = None
        """Why the last load failed; None after a good one."""
        self._version = 0
        self.loads = 0
        """How many models have stood here so far."""
        self.wanted = ""
        """Name of the model asked for last."""
        self._lane = lane
        self._job: Job[Host] | None = None
        # Guards the fields above against two visitors who load at once.
        self._lock = threading.Lock()

    @property
    def loading(self) -> Job[Host] | None:
        """The load that has not ended yet."""
        return self._job if self._job is not None and not self._job.finished else None

    @property
    def stamp(self) -> tuple[int, bool]:
        """Changes whenever anything about the model does, so that pages notice."""
        return self._version, self.loading is not None

    def use(self, chat: ChatSettings) -> None:
        """Set how the loaded model's chat template is used, for every visitor.

        Raises:
            SteeringError: No model is loaded, or a switch that its template does not read.
        """
        host = self.require().under(chat)
        chat_notes(host)
        with self._lock:
            self.host = host
            self._version += 1

    def load(self, name: str, options: LoadOptions | None = None, chat: ChatSettings | None = None) -> Job[Host]:
        """Queue a load and return its job at once; without chat settings the model's defaults apply.

        Raises:
            SteeringError: Another model is being loaded.
        """
        with self._lock:
            if self.loading is not None:
                raise SteeringError(
                    f"'{self.wanted}' is still being loaded.", remedy="Wait until it stands, then switch."
                )
            self._job = self._lane.submit(lambda job: self._load(name, options, chat, job), title=f"Loading {name}")
            self.wanted = name
            self._version += 1
            return self._job

    def put(self, host: Host) -> None:
        """Have a model stand here that was loaded elsewhere, on this workbench's lane, such as a notebook's.

        Raises:
            SteeringError: Another model is being loaded.
        """
        check_undivided(host.model._module, "A page")
        with self._lock:
            if self.loading is not None:
                raise SteeringError(f"'{self.wanted}' is still being loaded.", remedy="Wait until it stands.")
            self.host, self.error, self.wanted = host, None, host.name
            self.loads += 1
            self._version += 1

    def require(self) -> Host:
        """The loaded model.

        Raises:
            SteeringError: There is none: why the last load failed.
        """
        if self.host is not None:
            return self.host
        if self.error is not None:
            raise self.error
        raise SteeringError("No model is loaded.", remedy="Choose one under “Switch model”.")

    def _load(self, name: str, options: LoadOptions | None, chat: ChatSettings | None, job: Job[Any]) -> Host:
        try:
            host = Host.load(name, lane=self._lane, options=options).under(chat)
            chat_notes(host)  # worked out here, where a pass may be needed
        except BaseException as error:
            self.error = error
            self._version += 1
            raise
        # Jobs that are queued behind this one may still hold the old model; the last of them lets it go.
        self.host, self.error = host, None
        self.loads += 1
        self._version += 1
        # A job of its own: the model stands already, and would stand if it could not write a word.
        host.submit(lambda job: warm_up(host), title="Warming up")
        return host
