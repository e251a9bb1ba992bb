"""A run of the workspace as what its files say of where they come from."""

from __future__ import annotations

from dataclasses import replace

from steering.confines import UPLOAD
from steering.origins.origin import Origin, origin_of
from workbench.runs.run import Run


def origin_of_run(run: Run) -> Origin:
    """What the files of a run say of it.

    Args:
        run: With all that is known of it.
    """
    about = run.about
    said = {"study": run.kind, "settings": about.get("settings", {}), "given": about.get("given", ())}
    said["model"] = about.get("model") or {"name": run.model}
    data = {name: each for name, each in about.get("data", {}).items() if not name.startswith(UPLOAD)}
    found = origin_of(
        said,
        run=run.id,
        made=run.begun,
        address=f"{run.panel}?run={run.id}" if run.panel else "",
        data=data,
        vectors=about.get("vectors", {}),
        versions=about.get("versions", {}),
        plugins=about.get("plugins", {}),
    )
    return replace(found, left_out=(*found.left_out, *about.get("left_out", ())))
