"""`workbench serve`: the local web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.console import ERR, OUT, reported
from workbench.cli.entrance import entrance_of, opens_door
from workbench.cli.options import WorkspaceFolder, chat_of, loads_model


@loads_model
@opens_door
def serve(
    model: Annotated[str, typer.Argument(help="A demo model, a folder, a GGUF file or a Hub id.")] = "demo",
    workspace: WorkspaceFolder = None,
    panels_dir: Annotated[Path | None, typer.Option(help="Folder of single-file panels.")] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    *,
    door: dict[str, Any],
    load: dict[str, Any],
) -> None:
    """Open the workbench on a model, as a local web page."""
    with reported():
        from steering.loading.options import LoadOptions
        from steering.loading.tensor_parallel import only_by_script
        from workbench.frame.shell import launch

        if load["tensor_parallel"] != 1:
            raise only_by_script("A page")
        launch(
            model,
            entrance_of(**door),
            workspace=workspace,
            panels_dir=panels_dir,
            load_options=LoadOptions(**{key: value for key, value in load.items() if key != "chat"}),
            chat=chat_of(load["chat"]),
            open_browser=open_browser,
            tell=lambda link: ERR.print(
                f"The workbench is at {link} (Ctrl-C ends it).", markup=False, highlight=False, soft_wrap=True
            ),
        )


def password(name: Annotated[str, typer.Argument(help="Of the user.")]) -> None:
    """Ask for a user's password, and print the line for `workbench serve --auth-file`."""
    with reported():
        from workbench.doors.accounts import check_name, check_password, line_of

        check_name(name, "workbench password")
        typed = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        OUT.print(
            line_of(name, check_password(typed, "workbench password")), markup=False, highlight=False, soft_wrap=True
        )


def link(workspace: WorkspaceFolder = None) -> None:
    """Print the link to the page that is served of a workspace."""
    with reported():
        from steering.errors import SteeringError
        from workbench.frame.serving import served_at
        from workbench.workspace import Workspace

        found = served_at(Workspace(workspace).folder)
        if found is None:
            raise SteeringError(
                "No page is served of this workspace.",
                "a workbench that runs.",
                "Start one with: workbench serve. Where one runs with --workspace FOLDER, give that here, too.",
            )
        OUT.print(str(found), markup=False, highlight=False, soft_wrap=True)
