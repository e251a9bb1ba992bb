"""What a page's script asks for of a run: files to download, and what its figures say of where they come from."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

from steering.confines import confined
from steering.errors import SteeringError
from workbench.bench import Workbench
from workbench.runs.archive import archive_name, write_archive
from workbench.runs.code import as_files, packed
from workbench.runs.origin import origin_of_run


_LONGEST = 100


def run_functions(bench: Workbench) -> list[Callable[..., Any]]:
    """Functions of the server that `assets/look` calls. Whoever has a run's id may ask for it, as with its address.

    Args:
        bench: Of the page.
    """

    def exported(given: Any) -> dict[str, str]:
        """A run as a file: {"name", "data"} as base64, or {"error"} as text."""
        try:
            with confined(bench.confines):
                name, content = _exported(bench, *_asked(given, "run", "kind"), texts=not _bare(given))
        except SteeringError as error:
            return {"error": str(error)}
        return {"name": name, "data": base64.b64encode(content).decode()}

    def origin(given: Any) -> str:
        """What a figure of a run says of where it comes from, as JSON; "" where the run is not kept."""
        try:
            (id,) = _asked(given, "run")
            found = origin_of_run(bench.workspace.runs.get(id))
        except SteeringError:
            return ""
        return (found.without_texts() if _bare(given) else found).to_json()

    return [exported, origin]


def _exported(bench: Workbench, id: str, kind: str, *, texts: bool) -> tuple[str, bytes]:
    runs = bench.workspace.runs
    if kind == "all":
        whole = io.BytesIO()
        write_archive(runs, [id], whole, texts=texts)
        return archive_name([runs.get(id)], texts=texts), whole.getvalue()
    return packed(as_files(bench.workspace, id, kind, texts=texts))


def _asked(given: Any, *names: str) -> list[str]:
    """Texts that the script sent; never trusted.

    Raises:
        SteeringError: One is none.
    """
    found = [given.get(name) if isinstance(given, Mapping) else None for name in names]
    if not all(isinstance(each, str) and len(each) <= _LONGEST for each in found):
        raise SteeringError("The page sent something else than it does.", "a run's id.", "Load the page again.")
    return [str(each) for each in found]


def _bare(given: Any) -> bool:
    return isinstance(given, Mapping) and given.get("bare") is True
