"""The pages that this kernel serves: one for each model that its cells show, and what ends them."""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass, field
from pathlib import Path

from steering.errors import SteeringError
from steering.model.host import Host
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.serving import keep_uploads_private
from workbench.frame.shell import free_port, launch
from workbench.notebook.ways import Way, way_to
from workbench.page.inputs import Page
from workbench.runs.run import now
from workbench.workspace import Workspace


_HERE = "127.0.0.1"
_PATIENCE = 8.0
"""Seconds that a running job gets to end when the kernel does."""
_LOCK = threading.RLock()


@dataclass(eq=False)
class Served:
    """A workbench on a model of the cells, and its page."""

    host: Host
    """As the cells gave it; the page may go on to another model."""
    bench: Workbench
    page: Page
    way: Way
    port: int
    begun: str = field(default_factory=now)
    """When, as runs say it."""
    closed: bool = False

    def close(self) -> None:
        """End the server, and what its pages still run. What was made stays in the workspace. Safe to call twice."""
        with _LOCK:
            if self.closed:
                return
            self.closed = True
            _SERVED.remove(self)
        self.bench.live.stop()
        self.page.close(verbose=False)


_SERVED: list[Served] = []
_WORKSPACES: dict[Path, Workspace] = {}
"""By folder; one object each, so that the pages of several models see at once what the others put on the shelf."""


def served(
    panel: str,
    host: Host | None,
    *,
    workspace: Path | str | None = None,
    port: int | None = None,
    address: str | None = None,
    share: bool = False,
) -> Served:
    """The page of a model, which is served already or from now on.

    Args:
        panel: Id of a panel that it has to have.
        host: The model; that of the page which was shown last where None.
        workspace: Folder of the workspace; where None that of the model's page, or else the user's own.
        port: To listen on; any free one where None.
        address: As `way_to` takes it.
        share: Whether it is reached from the open net, through Gradio's servers.

    Raises:
        SteeringError: There is no model or no such panel, it is served otherwise already, or cannot be served.
    """
    with _LOCK:
        folder = None if workspace is None else _opened(workspace).folder
        found = _found(host, folder)
        if found is None:
            return _start(panel, _required(host), _opened(workspace), port, address, share)
        found.bench.catalogue.get(panel)
        _check_alike(found, port, address, share)
        if host is not None and found.bench.host is not host:  # somebody switched models on the page
            found.bench.model.put(host)
        return found


def _found(host: Host | None, folder: Path | None) -> Served | None:
    """The latest that was begun for this model, or any where None; of this workspace, or any where None."""
    for each in reversed(_SERVED):
        if (host is None or each.host is host) and folder in (None, each.bench.workspace.folder):
            return each
    return None


def _required(host: Host | None) -> Host:
    if isinstance(host, Host):
        return host
    if host is None:
        raise SteeringError(
            "There is no model to show yet.",
            "the model that the cells use, as host=.",
            'Load one first: host = Host.load("demo"), from the library steering.',
        )
    raise SteeringError(
        f"The model was given as a {type(host).__name__}.",
        "a Host of the library steering.",
        "Host.load(NAME) loads a model; Host.wrap(model, tokenizer) takes one that is in memory.",
    )


def _opened(folder: Path | str | None) -> Workspace:
    made = Workspace(folder)
    return _WORKSPACES.setdefault(made.folder, made)


def _start(panel: str, host: Host, workspace: Workspace, port: int | None, address: str | None, share: bool) -> Served:
    bench = Workbench(workspace=workspace, lane=host.lane)
    bench.catalogue.get(panel)
    bench.model.put(host)
    free = free_port(_HERE, port or 0)
    way = way_to(free, address)
    keep_uploads_private()
    page = launch(
        "",
        Entrance(
            _HERE,
            free,
            root_path=way.root_path,
            behind=way.address if way.proxied else None,
            share=share,
        ),
        bench=bench,
        prevent_thread_lock=True,
    )
    found = Served(host, bench, page, way, free)
    _SERVED.append(found)
    return found


def _check_alike(found: Served, port: int | None, address: str | None, share: bool) -> None:
    """Raise where a page that is served already would have to be served otherwise."""
    asked = []
    if port is not None and port != found.port:
        asked.append(f"port {port}, not {found.port}")
    if address is not None and way_to(found.port, address) != found.way:
        asked.append(f"the address {address[:80]}, not {found.way.address}")
    if share and not found.page.share_url:
        asked.append("a link to share, which it has not")
    if asked:
        raise SteeringError(
            f"The page of this model is served already; now it was asked for {', '.join(asked)}.",
            "a page that is not served yet, or the same again.",
            "End it first with page.close(), or leave that out.",
        )


def _end() -> None:
    """The kernel ends: the interpreter must not, while the model thread is inside torch."""
    for each in list(_SERVED):
        each.close()
        each.bench.lane.close(timeout=_PATIENCE)


atexit.register(_end)
