"""`workbench space`: a Hugging Face Space of the workbench, written and tried."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from workbench.cli.console import OUT, reported


space = typer.Typer(no_args_is_help=True, help="A Hugging Face Space: written into a folder, and tried there.")
Folder = Annotated[Path, typer.Argument(help="The Space's folder.")]


@space.command("new")
def new(
    folder: Folder,
    model: Annotated[str, typer.Option("--model", "-m", help="A demo model or a Hub id.")] = "demo",
    panel: Annotated[
        list[str] | None, typer.Option("--panels", help="A panel that is there. May be repeated; all by default.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.")] = None,
    dtype: Annotated[str, typer.Option(help="Precision; auto is bfloat16 on a GPU and float32 on a CPU.")] = "auto",
    secret: Annotated[
        list[str] | None,
        typer.Option(help="A secret that the Space must have, such as HF_TOKEN for a gated model. May be repeated."),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="What a visitor may ask for, such as tokens=200. May be repeated.")
    ] = None,
    gpu_seconds: Annotated[int, typer.Option(min=10, max=600, help="Seconds that a job may have a GPU for.")] = 120,
    title: Annotated[str, typer.Option(help="The Space's title.")] = "Steering Workbench",
) -> None:
    """Write a Space: app.py, README.md, requirements.txt and the workbench's own code."""
    with reported():
        from workbench.space.folder import Card, write_space
        from workbench.space.settings import Space

        names = tuple(name for given in panel or () for name in given.split(",") if name.strip())
        shown = Space(model, revision, dtype, names, tuple(secret or ()), tuple(limit or ()), gpu_seconds)
        written = write_space(folder, shown, Card(title))
        OUT.print(f"{escape(str(folder))}: {', '.join(map(escape, written))}", highlight=False)
        OUT.print(
            f"Try it with: workbench space check {escape(str(folder))}\n"
            "Then push the folder to a new Gradio Space on the Hub, and choose its hardware there: ZeroGPU, or a CPU "
            "for a demo model. See docs/spaces.md.",
            highlight=False,
        )


@space.command("check")
def check(
    folder: Folder,
    python: Annotated[
        Path | None,
        typer.Option(help="Python of an environment that has what the Space needs; a new one is made without it."),
    ] = None,
) -> None:
    """Try a Space: make its environment, serve its page, and ask it for a reply as a visitor would."""
    with reported():
        from workbench.space.check import check_space

        bad = False
        for told in check_space(folder, python):
            mark = "[green]ok[/]  " if told.good else "[bold red]wrong[/]"
            OUT.print(f"{mark} {escape(told.what)}  [dim]{escape(told.detail)}[/]", highlight=False)
            bad = bad or not told.good
        if bad:
            raise typer.Exit(1)
