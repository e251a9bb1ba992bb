"""How a page is served: behind a guard, for so many visitors, and until somebody ends it in an orderly way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from steering.own_files import temporary_beside
from workbench.bench import Workbench
from workbench.doors.door import Door, Link
from workbench.guard import APP_ID, PROOF, Guard
from workbench.host_names import Names
from workbench.temporary import passing_folder


_log = logging.getLogger(__name__)
SESSIONS = 60
"""Visitors whose pages are remembered; of more, those who did nothing for longest begin anew. Each takes about 2 MB."""
_SERVED = "served.json"
"""The file in a workspace that says where its page is served."""
_ANSWER = 2.0
"""Seconds in which a page says that it is there."""
_LOOK = 0.2
"""Seconds between two looks for a signal."""
_OFTEN = 60.0
"""Seconds between two looks for visitors who are gone."""
_PATIENCE = 8.0
"""Seconds that a running job gets to end: fewer than service managers wait."""


def guarded(bench: Workbench, names: Names, port: int, door: Door) -> dict[str, Any]:
    """Options of Gradio's app that put the guard before all else of it, from the first request on."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        # Gradio adds its own layers while it builds the app; here all of them stand and nothing is served yet.
        app.middleware_stack = Guard(app.middleware_stack, names, port, door, bench.rooms)
        clearing = asyncio.create_task(_clear(bench))
        yield
        clearing.cancel()
        if bench.rooms is not None:
            bench.rooms.close()

    return {"lifespan": lifespan}


async def _clear(bench: Workbench) -> None:
    """Remove now and then what visitors left who are gone."""
    while True:
        await asyncio.sleep(_OFTEN)
        try:
            await asyncio.to_thread(bench.clear)
        except Exception:  # the next look may do better
            _log.exception("what visitors left could not be removed")


def keep_uploads_private() -> None:
    """Have uploads lie in a folder that no other user of the machine can read, and that goes with the process.

    Gradio's own folder is one for all of its pages on a machine, and nothing is ever taken out of it.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        return
    os.environ["GRADIO_TEMP_DIR"] = str(passing_folder("steering-uploads-"))


def serve_until_ended(bench: Workbench, start: Callable[[], Any]) -> Any:
    """Start a page and keep it until Ctrl-C or SIGTERM; then stop the job that runs, close the page and return it.

    The interpreter must not end while the model thread is inside torch, which would abort the process; a job that does
    not end in time, such as a load, is left and the process ends at once.
    """
    page = None
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        # Nothing is raised here: an exception that arrives while an object is being deleted would be swallowed.
        if ended:
            os._exit(128 + number)
        ended.append(number)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)
    try:
        page = start()
        while not ended:
            time.sleep(_LOOK)
    finally:
        if not bench.lane.close(timeout=_PATIENCE):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        if page is not None:
            page.close(verbose=False)
        bench.close()
    return page


def note_address(folder: Path, link: Link, app_id: int) -> None:
    """Let others of the same user find the page that is served of a workspace; where that cannot be written, they do
    not.

    Args:
        folder: Of the workspace.
        link: To the page.
        app_id: Gradio's number of this server, which tells it from whatever listens there later.
    """
    said = {"address": link.address, "token": link.token, "app_id": app_id}
    # The temporary file is its owner's alone (0600), and stays so under its new name.
    with contextlib.suppress(OSError), temporary_beside(folder / _SERVED) as temporary:
        temporary.write_text(json.dumps(said), encoding="utf-8")
        os.replace(temporary, folder / _SERVED)


def served_at(folder: Path) -> Link | None:
    """The link to the page that is served of a workspace; None where none is.

    Args:
        folder: Of the workspace.
    """
    try:
        said = json.loads((folder / _SERVED).read_text(encoding="utf-8"))
        link = Link(str(said["address"]), str(said["token"]))
        proof = {PROOF: Door(link.token).proof}
        answer = httpx.get(f"{link.address}{APP_ID}", timeout=_ANSWER, trust_env=False, headers=proof)
        return link if answer.json()["app_id"] == said["app_id"] else None
    except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError, httpx.InvalidURL):
        return None
