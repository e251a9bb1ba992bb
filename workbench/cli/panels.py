"""`workbench panels`: which there are; `new` writes a package with one, `check` tries one out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.console import ERR, FAILED, OUT, reported, table


panels = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")
_MARKS = {"passed": "[green]passed[/] ", "failed": "[bold red]failed[/] ", "skipped": "[dim]skipped[/]"}


@panels.callback()
def every(
    context: typer.Context,
    panels_dir: Annotated[Path | None, typer.Option(help="Folder of single-file panels.")] = None,
) -> None:
    """List the panels that were found, and those that could not be used; write a new one; try one out."""
    if context.invoked_subcommand is not None:
        return
    import pandas as pd

    from workbench.discovery import discover

    with reported():
        found = discover(panels_dir)
    OUT.print(table(pd.DataFrame([{"id": p.id, "title": p.title, "what it does": p.summary} for p in found.panels])))
    for problem in found.broken:
        ERR.print(f"[bold red]{problem.source}:[/] ", end="")
        ERR.print(str(problem.error), markup=False, highlight=False)
    if found.broken:
        raise typer.Exit(FAILED)


@panels.command()
def new(
    name: Annotated[str, typer.Argument(help="What the panel is called, such as 'Token lengths'.")],
    folder: Annotated[Path | None, typer.Option(help="Where; a folder of the panel's name by default.")] = None,
) -> None:
    """Write a package with a panel that works: pyproject with the entry point, panel, test, README."""
    with reported():
        from workbench.testing.new_package import write_package

        files = write_package(name, folder)
    for path in files:
        OUT.print(f"Written: {path}", highlight=False)
    home = files[0].parent
    place = shlex.quote(str(home))
    OUT.print(f"\nNow: pip install -e {place}, then workbench serve; workbench panels check {place}", highlight=False)


@panels.command()
def check(
    path: Annotated[str, typer.Argument(help="A file, the folder of a package, or the id of an installed panel.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting to try it with, as key=value; may be repeated.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open it in a browser too, where there is one.")] = True,
) -> None:
    """Try a panel out: settings, form, a run on the demo model, Stop, other models, a browser. Says of each what was
    done, and what to mend.
    """
    with reported():
        from workbench.key_values import pairs
        from workbench.testing.check import checks_of
        from workbench.testing.targets import panels_at

        failed = 0
        for source, panel in panels_at(path):
            OUT.print(f"[bold]{panel.title}[/] ", end="")
            OUT.print(f"({source})", markup=False, highlight=False)
            place = source if source.endswith(".py") else ""
            for each in checks_of(panel, source=place, given=pairs(settings or []), browser=browser):
                OUT.print(f"  {_MARKS[each.outcome]}  {each.name}", highlight=False)
                OUT.print(f"             {each.did}", markup=False, highlight=False, style="dim")
                if each.mend:
                    OUT.print(f"             To mend: {each.mend}", markup=False, highlight=False)
                failed += each.outcome == "failed"
    if failed:
        raise typer.Exit(FAILED)
