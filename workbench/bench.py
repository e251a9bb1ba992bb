"""The workbench behind a page: one model thread, one loaded model, one workspace and the panels that were found."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from steering.confines import Confines
from steering.errors import SteeringError
from steering.lane import Job, Lane
from steering.loading.options import LoadOptions
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.passes.decoding import warm_up
from workbench.discovery import Catalogue, discover
from workbench.memory import Memory
from workbench.runs.live import LiveRuns
from workbench.runs.runs import Runs
from workbench.sent import Sent
from workbench.workspace import Workspace


ANY = "any"
"""Among the models that visitors may load: any other."""


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


class Workbench:
    """Everything that a page, a notebook or a Space shows."""

    def __init__(
        self,
        *,
        workspace: Workspace | Path | str | None = None,
        panels_dir: Path | str | None = None,
        lane: Lane | None = None,
    ) -> None:
        """Open the workspace and find the panels; no model is loaded yet (`workbench.model.load`).

        Args:
            workspace: A workspace or its folder; by default the user's own.
            panels_dir: A folder of single-file panels.
            lane: The model thread; a new one where none is given.

        Raises:
            SteeringError: The workspace folder cannot be written.
        """
        self.lane = lane or Lane()
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
        self.catalogue: Catalogue = discover(panels_dir)
        self.model = ModelSlot(self.lane)
        self.live = LiveRuns()
        """What visitors asked for and what still runs."""
        self.memory = Memory()
        """What visitors' pages showed last."""
        self.sent = Sent()
        """What one panel sends to another's page."""
        self.visitors_load: frozenset[str] = frozenset((ANY,))
        """Models that visitors of the page may load."""
        self.confines: Confines | None = None
        """What is read for visitors of the page; anything where None, as in a notebook."""
        self.only_here = True
        """Whether nobody but this machine's own users reaches the page."""
        self.trusted = ""
        """The model whose own Python code may run, since whoever started the workbench said so."""

    @property
    def host(self) -> Host | None:
        return self.model.host

    def owner(self, visitor: str) -> str | None:
        """Whose runs and uploads a visitor sees in lists: their own, or all where only this machine reaches the page.

        Where others do, somebody without a number sees nobody's, and not those of whoever is at the machine.
        """
        return None if self.only_here else visitor or "nobody"

    @property
    def runs(self) -> Runs:
        """The runs of the workspace.

        Raises:
            SteeringError: Their list cannot be used.
        """
        return self.workspace.runs

    def load(self, name: str, options: LoadOptions) -> Job[Host]:
        """Load a model for a visitor. Its own code runs only where whoever started the workbench trusts that model, or
        the base that is named for an adapter, since it is the base's code that runs.

        Raises:
            SteeringError: Visitors may not load it or its base, or another model is being loaded.
        """
        self._check_visitors(name)
        if options.base:
            self._check_visitors(options.base)
        whose = options.base or name
        return self.model.load(name, replace(options, trust_remote_code=bool(whose) and whose == self.trusted))

    def _check_visitors(self, name: str) -> None:
        if ANY in self.visitors_load or name in self.visitors_load:
            return
        known = ", ".join(sorted(self.visitors_load)) or "none: the model is the same for all visitors"
        raise SteeringError(
            f"'{name[:80]}' cannot be loaded from this page, which others can reach too.",
            f"one of the models that are allowed ({known}).",
            "Whoever runs the workbench can allow more with --allow-models.",
        )

    @property
    def seen(self) -> tuple[int, int, bool]:
        """Changes whenever the shelf does, or the model, which decides what on the shelf fits."""
        return (self.workspace.version, *self.model.stamp)
