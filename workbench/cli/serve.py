"""`workbench serve`: the local web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.console import ERR, reported
from workbench.cli.options import WorkspaceFolder, chat_of, loads_model


@loads_model
def serve(
    model: Annotated[str, typer.Argument(help="A demo model, a folder, a GGUF file or a Hub id.")] = "demo",
    address: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 7860,
    workspace: WorkspaceFolder = None,
    panels_dir: Annotated[Path | None, typer.Option(help="Folder of single-file panels.")] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name under which a proxy in front is asked for the page. May be repeated."),
    ] = None,
    allow_models: Annotated[
        list[str] | None,
        typer.Option(
            help="A model that visitors may load instead; any for any. May be repeated. By default any where only this "
            "machine reaches the page, and none where others do."
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(help="The path below which a proxy in front shows the page, such as /workbench."),
    ] = "",
    *,
    load: dict[str, Any],
) -> None:
    """Open the workbench on a model, as a local web page."""
    with reported():
        from steering.loading.options import LoadOptions
        from workbench.frame.shell import launch

        launch(
            model,
            host=address,
            port=port,
            workspace=workspace,
            panels_dir=panels_dir,
            allow_hosts=allow_host or (),
            allow_models=allow_models,
            root_path=root_path,
            load_options=LoadOptions(**{key: value for key, value in load.items() if key != "chat"}),
            chat=chat_of(load["chat"]),
            open_browser=open_browser,
            tell=lambda at: ERR.print(f"The workbench is at {at} (Ctrl-C ends it).", highlight=False),
        )
