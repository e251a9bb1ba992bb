"""How a page is served: behind a guard, for so many visitors, and until somebody ends it in an orderly way."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from steering.errors import SteeringError
from steering.own_files import temporary_beside
from workbench.bench import Workbench
from workbench.guard import Guard
from workbench.host_names import Names


SESSIONS = 60
"""Visitors whose pages are remembered; of more, those who did nothing for longest begin anew. Each takes about 2 MB."""
_SERVED = "served.json"
"""The file in a workspace that says where its page is served."""
_ANSWER = 2.0
"""Seconds in which a page says that it is there."""
_LOOK = 0.2
"""Seconds between two looks for a signal."""
_PATIENCE = 8.0
"""Seconds that a running job gets to end: fewer than service managers wait."""


def guarded(bench: Workbench, names: Names, port: int) -> dict[str, Any]:
    """Options of Gradio's app that put the guard before all else of it, from the first request on."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        # Gradio adds its own layers while it builds the app; here all of them stand and nothing is served yet.
        app.middleware_stack = Guard(app.middleware_stack, names, port)
        yield

    return {"lifespan": lifespan}


def keep_uploads_private() -> None:
    """Have uploads lie in a folder that no other user of the machine can read, and that goes with the process.

    Gradio's own folder is one for all of its pages on a machine, and nothing is ever taken out of it.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        return
    folder = tempfile.mkdtemp(prefix="steering-workbench-")  # 0700
    os.environ["GRADIO_TEMP_DIR"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


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
        bench.workspace.bin.close()
        with contextlib.suppress(SteeringError):  # what cannot be removed now goes with the next look at the list
            bench.runs.empty()
    return page


def note_address(folder: Path, address: str, app_id: int) -> None:
    """Let others find the page that is served of a workspace; where that cannot be written, they do not.

    Args:
        folder: Of the workspace.
        address: Of the page.
        app_id: Gradio's number of this server, which tells it from whatever listens there later.
    """
    with contextlib.suppress(OSError), temporary_beside(folder / _SERVED) as temporary:
        temporary.write_text(json.dumps({"address": address, "app_id": app_id}), encoding="utf-8")
        os.replace(temporary, folder / _SERVED)


def served_at(folder: Path) -> str:
    """The address of the page that is served of a workspace; "" where none is.

    Args:
        folder: Of the workspace.
    """
    try:
        said = json.loads((folder / _SERVED).read_text(encoding="utf-8"))
        address = str(said["address"])
        answer = httpx.get(f"{address}/gradio_api/app_id", timeout=_ANSWER, trust_env=False)
        return address if answer.json()["app_id"] == said["app_id"] else ""
    except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError, httpx.InvalidURL):
        return ""
