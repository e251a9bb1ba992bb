"""`workbench vectors`: what is on the shelf, renamed, noted, grouped and removed without a page."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.console import OUT, reported, table
from workbench.cli.options import WorkspaceFolder


vectors = typer.Typer(no_args_is_help=True, help="List, rename, note, group and remove the vectors of the shelf.")
Name = Annotated[str, typer.Argument(help="The vector's name on the shelf.")]


@vectors.command("list")
def list_vectors(
    search: Annotated[str, typer.Argument(help="Words in name, group or note.")] = "",
    group: Annotated[str, typer.Option(help="Only those of this group.")] = "",
    workspace: WorkspaceFolder = None,
) -> None:
    """List the vectors of the shelf, the newest first; files that are none say what is wrong with them."""
    with reported():
        import pandas as pd
        from rich.markup import escape

        from workbench.library.entries import Unreadable
        from workbench.workspace import Workspace

        shelf, words = Workspace(workspace), search.lower().split()
        entries, rows = shelf.entries(), []
        for entry in entries:
            if isinstance(entry, Unreadable):
                method, note, under = "–", entry.error.given, ""
            else:
                noted = shelf.notes.of(entry.name)
                feature = entry.vector.feature
                method = feature.words if feature else entry.vector.provenance.method
                note, under = " ".join(noted.note.split())[:60], noted.group
            text = f"{entry.name}\n{under}\n{note}".lower()
            if group in ("", under) and all(word in text for word in words):
                named = {"vector": entry.name, "group": under, "method": method.replace("_", " "), "note": note}
                rows.append({head: escape(each) for head, each in named.items()})
        if rows:
            OUT.print(table(pd.DataFrame(rows)))
        OUT.print(f"{len(rows)} of {len(entries)} on the shelf.", highlight=False)


@vectors.command()
def rename(
    name: Name, new: Annotated[str, typer.Argument(help="The next name.")], workspace: WorkspaceFolder = None
) -> None:
    """Give a vector another name.

    Recipes on the workbench's pages and those saved in it follow; recipe files of yours do not, and the message that
    meets one says what the vector is called now.
    """
    with reported():
        from workbench.workspace import Workspace

        OUT.print(f"'{name}' is '{Workspace(workspace).rename(name, new)}' now.", highlight=False, markup=False)


@vectors.command()
def note(
    name: Name,
    text: Annotated[str, typer.Argument(help="The note; nothing removes it.")] = "",
    workspace: WorkspaceFolder = None,
) -> None:
    """Note something of a vector."""
    with reported():
        from workbench.workspace import Workspace

        Workspace(workspace).note(name, note=text)


@vectors.command()
def group(
    names: Annotated[list[str], typer.Argument(help="The vectors' names on the shelf.")],
    into: Annotated[str, typer.Option(help="The group's name; none where empty.")] = "",
    workspace: WorkspaceFolder = None,
) -> None:
    """Put vectors under a heading, or take them from under theirs."""
    with reported():
        from workbench.workspace import Workspace

        shelf = Workspace(workspace)
        for name in [shelf.get(each).name for each in names]:
            shelf.note(name, group=into)


@vectors.command()
def remove(
    names: Annotated[list[str], typer.Argument(help="The vectors' names on the shelf.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Remove vectors with their files, for good; kept runs have copies of those they used."""
    with reported():
        from workbench.workspace import Workspace

        shelf = Workspace(workspace)
        for name in names:
            if yes or typer.confirm(f"Remove “{name}” from the shelf?"):
                shelf.remove(name)
        shelf.bin.close()
