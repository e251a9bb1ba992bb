"""What `wb.show` gives back: the panel below a cell, and what was made on its page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING

from steering.errors import SteeringError
from steering.names import short_name
from steering.studies.study import Result
from steering.waiting import cell_number
from workbench.doors.door import Link
from workbench.frame.navigation import places_of
from workbench.notebook.served import Served
from workbench.notebook.shelf import ShelfMapping
from workbench.panel import Panel
from workbench.runs.runs import Runs


if TYPE_CHECKING:
    from workbench.bench import Workbench


class ShownPanel:
    """A panel's page in a notebook. It lives as long as the kernel, or until `close`.

    As a cell's last line it shows the panel again.
    """

    def __init__(self, served: Served, panel: Panel, *, height: int, query: Mapping[str, str], said: str = "") -> None:
        """A handle of a page that is served.

        Args:
            served: The page's server.
            panel: Which panel of it.
            height: Of the frame, in pixels.
            query: What the frame's address carries beside the panel.
            said: What the panel opens with, in words.
        """
        self._said, self._shown = said, datetime.now().astimezone()
        self._served, self._panel = served, panel
        self._height, self._query = height, query
        self._cell: int | None = None  # of the cell that shows it already

    @property
    def panel(self) -> str:
        """The panel's id."""
        return self._panel.id

    @property
    def closed(self) -> bool:
        """Whether the server has ended."""
        return self._served.closed

    @property
    def url(self) -> str:
        """The address of the panel's page, for a tab of its own. It lets in whoever has it.

        Raises:
            SteeringError: It is closed.
        """
        self._bench()
        return self._link()

    @property
    def shared_url(self) -> str:
        """The same for browsers anywhere, where `share=True` was asked for; "" elsewhere.

        Raises:
            SteeringError: It is closed.
        """
        self._bench()
        return self._link(self._served.page.share_url) if self._served.page.share_url else ""

    @property
    def runs(self) -> Runs:
        """All runs of the workspace: `page.runs.find()`, `page.runs[id].result`.

        Raises:
            SteeringError: It is closed, or the list cannot be used.
        """
        return self._bench().runs

    @property
    def run(self) -> Result | None:
        """What the panel's latest run found, of those since the page was first shown; None before there is one.

        Raises:
            SteeringError: It is closed, or that run goes on, has failed or left no result.
        """
        mine = (each for each in self.runs.find() if each.panel == self.panel and each.begun >= self._served.begun)
        latest = next(mine, None)
        if latest is None:
            return None
        if not latest.over:
            raise SteeringError(f"The run “{latest.title}” goes on.", remedy="Wait until it has ended, then ask again.")
        result = self.runs.result(latest.id)
        if result is None:
            why = f": {latest.error}" if latest.error else ""
            raise SteeringError(
                f"The run “{latest.title}” has left no result; it is {latest.state}{why}",
                "a run that was done.",
                "Run it again, or look for an earlier one among page.runs.",
            )
        return result

    @property
    def vectors(self) -> ShelfMapping:
        """The shelf: name -> `SteeringVector`. What cells put there is on the page a moment later.

        Raises:
            SteeringError: It is closed.
        """
        return ShelfMapping(self._bench().workspace)

    def close(self) -> None:
        """End the server, for every cell that shows one of its panels, and what its pages still run.

        The model stays in memory as long as cells hold it. Safe to call twice.
        """
        self._served.close()

    def show(self) -> None:
        """Print the link and, in a notebook, show the panel below the cell."""
        cell = cell_number()
        print(f"{self._panel.title}: {self.url if cell is not None else self._link(query=self._query)}")
        if self.shared_url:
            print(f"For browsers anywhere: {self.shared_url}")
        if cell is not None:
            display = import_module("IPython.display").display  # there, since a kernel runs this
            display({"text/html": self._html(), "text/plain": repr(self)}, raw=True)
            self._cell = cell

    def _repr_html_(self) -> str | None:
        return None if self._cell is not None and self._cell == cell_number() else self._html()

    def __repr__(self) -> str:
        if self.closed:
            return f"{self._panel.title}, closed: wb.show({self.panel!r}, host=host) opens it again."
        return f"{self._panel.title} at {self.url}"

    def _html(self) -> str:
        if self.closed:
            return f"<p>{escape(repr(self))}</p>"
        frame = escape(self._link(query={"bare": "1", **self._query}))
        title = escape(f"Steering Workbench, {self._panel.title}")
        note = f" {escape(self._served.way.note)}" if self._served.way.note else ""
        host = self._served.bench.host
        model = f" on {escape(short_name(host.name))}" if host is not None else ""
        opened = f", opened with {escape(self._said)}" if self._said else ""
        return (
            f'<iframe src="{frame}" title="{title}" width="100%" height="{self._height}" style="border:0" '
            'allow="clipboard-write"></iframe>'
            f'<p><a href="{escape(self.url)}" target="_blank" rel="noopener">{escape(self._panel.title)} in a tab of '
            f"its own</a>, as long as the kernel runs.{note}</p>"
            f"<p>Above: {escape(self._panel.title)}{model}, {self._shown:%d %b %Y %H:%M}{opened}. Without its kernel a "
            "notebook shows no frame; <code>page.run</code> in a cell keeps what the latest run found.</p>"
        )

    def _link(self, address: str = "", query: Mapping[str, str] | None = None) -> str:
        places = places_of(self._served.bench.catalogue)
        path = next(place.path for place in places if place.panel is self._panel)
        own = self._served.page.link.token
        return Link((address or self._served.way.address).rstrip("/"), own).to(path, **(query or {}))

    def _bench(self) -> Workbench:
        if self.closed:
            raise SteeringError(
                f"The page of {self._panel.title} is closed.",
                "one that is served.",
                f"wb.show({self.panel!r}, host=host) opens it again; what was made is in its workspace.",
            )
        return self._served.bench
