"""What `workbench plugins` prints."""

from __future__ import annotations

import json

import pandas as pd
import typer

from steering.plugins import KINDS, SWITCH, Plugin, allowed, found, registries
from workbench.cli.console import ERR, FAILED, OUT, table
from workbench.discovery import discover


def print_plugins(*, as_json: bool) -> None:
    """Everything that packages add, and a line for each that cannot be used; with exit code 1 where there is one."""
    if not allowed():
        ERR.print(f"{SWITCH} is off: what packages add is left out.", highlight=False)
    catalogue = discover()
    used = [plugin for plugin in found("panel") if plugin.source in catalogue.sources.values()]
    problems = list(catalogue.broken)
    for kind, registry in registries().items():
        used += [plugin for plugin in registry.plugins.values() if plugin.kind == kind]
        problems += registry.problems
    if as_json:
        said = [{**_told(each), "module": each.point.value} for each in used]
        broken = [{"kind": each.kind, "source": each.source, "problem": str(each.error)} for each in problems]
        print(json.dumps([*said, *broken], ensure_ascii=False))
    elif used:
        OUT.print(table(pd.DataFrame([_told(each) for each in used])))
    elif allowed():
        OUT.print("No package adds anything; docs/plugins.md says how one would.", highlight=False)
    for problem in problems if not as_json else ():
        ERR.print(f"[bold red]{KINDS[problem.kind].title}[/] ", end="")
        ERR.print(f"from {problem.source}: {problem.error}", markup=False, highlight=False)
    if problems:
        raise typer.Exit(FAILED)


def _told(plugin: Plugin) -> dict[str, str]:
    return {"what": KINDS[plugin.kind].title, "name": plugin.name, "package": plugin.package}
