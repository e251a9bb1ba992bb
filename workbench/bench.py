"""The workbench behind a page: one model thread, one loaded model, one workspace and the panels that were found."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from steering.confines import Confines
from steering.errors import SteeringError
from steering.lane import Job, Lane
from steering.loading.options import LoadOptions
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from workbench.discovery import Catalogue, discover
from workbench.doors.at_hand import limits_at_hand
from workbench.doors.limits import Limits
from workbench.doors.rooms import Rooms
from workbench.memory import Memory
from workbench.model_slot import ModelSlot
from workbench.runs.live import LiveRuns
from workbench.runs.runs import Runs
from workbench.sent import Sent
from workbench.temporary import passing_folder
from workbench.workspace import Workspace


ANY = "any"
"""Among the models that visitors may load: any other."""


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
        self.own = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
        """The workspace of whoever started it, which all visitors share where they have none of their own."""
        self.rooms: Rooms | None = None
        """The visitors' own workspaces, where each has one; see `workbench.doors`."""
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
        self.passing: tuple[int, int] | None = None
        """How often uploads are looked through in Gradio's own folder, and how old one becomes, in seconds; None where
        they stay until the end."""
        self.confined_to: Confines | None = None
        """What is read for visitors of the page, beside their own uploads; anything where None, as in a notebook."""
        self.only_here = True
        """Whether nobody but this machine's own users reaches the page."""
        self.notices: tuple[str, ...] = ()
        """What visitors should know of this page, beside how much they may ask for."""
        self.trusted = ""
        """The model whose own Python code may run, since whoever started the workbench said so."""

    @property
    def host(self) -> Host | None:
        return self.model.host

    @property
    def workspace(self) -> Workspace:
        """That of whoever is at hand (`workbench.doors.at_hand`), or the one that all share.

        Raises:
            SteeringError: Everybody has their own, and nobody is at hand.
        """
        return self.own if self.rooms is None else self.rooms.workspace

    @property
    def confines(self) -> Confines | None:
        """What is read for whoever is at hand; anything where None."""
        own = self.workspace
        return self.confined_to and replace(self.confined_to, library=own.uploads.files, dictionaries=own.dictionaries)

    def owner(self, visitor: str) -> str | None:
        """Whose runs and uploads a visitor sees in lists: all of the workspace where it is theirs alone, or where only
        this machine reaches the page; else their own.

        Where others do, somebody without a number sees nobody's, and not those of whoever is at the machine.
        """
        return None if self.only_here or self.rooms is not None else visitor or "nobody"

    def receive(self, limits: Limits) -> None:
        """Give every visitor a workspace of their own from now on, which goes when they are gone.

        Args:
            limits: How much each may ask for.
        """
        self.rooms = Rooms(passing_folder("steering-visitors-"), limits, busy=self.live.goes_on)
        self.passing = (600, 60 * limits.minutes)

    def receive_users(self) -> None:
        """Give everybody who signs in a workspace of their own from now on, which stays, beside the workbench's own."""
        self.rooms = Rooms(self.own.folder / "users", busy=self.live.goes_on)

    @property
    def downloads(self) -> list[str]:
        """Folders from which files may be downloaded, as far as they are the visitor's own (`Rooms.offers`)."""
        folders = [self.own.shelf, self.own.exports] if self.rooms is None else [self.rooms.folder]
        return [str(folder) for folder in folders]

    def check_room(self) -> None:
        """Raise where whoever is at hand keeps so much that nothing more is begun for them.

        Raises:
            SteeringError: They do.
        """
        limits = limits_at_hand()
        if self.rooms is not None and limits is not None:
            limits.check_disk(self.rooms.use())

    def clear(self) -> None:
        """Forget visitors who are gone, with all that they left."""
        for number in self.rooms.clear() if self.rooms is not None else ():
            self.memory.forget(number)

    def close(self) -> None:
        """Let the workspaces go: what was removed, deleted or a passing visitor's goes for good."""
        if self.rooms is not None:
            self.rooms.close()
        self.own.bin.close()
        with contextlib.suppress(SteeringError):  # what cannot be removed now goes with the next look at the list
            self.own.runs.empty()

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

    def use(self, chat: ChatSettings) -> None:
        """Set for a visitor how the chat template is used; see `ModelSlot.use`.

        Raises:
            SteeringError: As there; and on a public page, where one visitor would set it for all.
        """
        if limits_at_hand() is not None:
            raise SteeringError(
                "How the chat template is used is the same for all visitors of this page.",
                "settings of your own run, such as the system prompt.",
                "Whoever runs the workbench sets it when it is started.",
            )
        self.model.use(chat)

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
