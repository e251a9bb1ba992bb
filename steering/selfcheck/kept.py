"""What the short self-check found, kept by the weights' digest: nothing is checked twice."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from platformdirs import user_cache_path

import steering
from steering.errors import SteeringError
from steering.extraction.provenance import versions
from steering.loading.tensor_parallel import parts
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.outcome import Check
from steering.own_files import publish, temporary_beside
from steering.selfcheck.short import short_check
from steering.store import digest


HOME = "STEERING_WORKBENCH_HOME"
"""Environment variable that names the workspace folder; what is kept lies in it where it is set."""
_FORMAT = "steering-workbench self-check 1"


def checked(host: Host) -> tuple[Check, ...]:
    """The short self-check of a model, from what was kept or by running it. Call on the model thread.

    What failed is not kept, so that it is looked at again.
    """
    if parts(host.model._module) > 1:  # a process that finds what another one has kept would leave it alone
        return short_check(host)
    path = _folder() / f"{digest(_FORMAT, fingerprint(host), versions(), _code(), host.info.device)[:24]}.json"
    known = _read(path)
    if known is not None:
        return known
    found = short_check(host)
    if all(check.outcome != "fail" for check in found):
        _write(path, found)
    return found


def _code() -> list[tuple[str, int, int]]:
    """The library's own files, which may change without its version."""
    files = sorted(Path(steering.__file__).parent.rglob("*.py"))
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def _folder() -> Path:
    home = os.environ.get(HOME)
    return (Path(home).expanduser() if home else user_cache_path("steering-workbench", appauthor=False)) / "selfcheck"


def _read(path: Path) -> tuple[Check, ...] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Check(**check) for check in content["checks"]) if content["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):  # not there, or no file of ours: the check runs
        return None


def _write(path: Path, checks: tuple[Check, ...]) -> None:
    content = json.dumps({"format": _FORMAT, "checks": [asdict(check) for check in checks]}, ensure_ascii=False)
    try:
        with temporary_beside(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
            publish(temporary, path, over=None)
    except (OSError, SteeringError):
        return  # a folder that cannot be written costs four passes at the next load, no more
