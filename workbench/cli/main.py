"""The `workbench` command."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workbench.cli.console import OUT, reported, table
from workbench.cli.data import data
from workbench.cli.demo import demo
from workbench.cli.exports import export
from workbench.cli.options import Model, load_host, loads_model
from workbench.cli.panels import panels
from workbench.cli.run import extract, run, settings
from workbench.cli.run_files import code
from workbench.cli.runs import runs
from workbench.cli.serve import link, password, serve
from workbench.cli.shelf import vectors
from workbench.cli.space import space
from workbench.cli.steer import steer
from workbench.cli.vectors import import_vector, orthogonalise


# torch, transformers and Gradio take seconds to import, so each command imports what it needs: `workbench --help` is
# quick.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="See, steer and measure what language models represent.",
)
app.add_typer(demo, name="demo")
app.add_typer(runs, name="runs")
app.add_typer(vectors, name="vectors")
app.add_typer(space, name="space")
app.add_typer(panels, name="panels")
runs.command("code")(code)
app.command()(serve)
app.command()(link)
app.command()(password)


def main() -> None:
    """Entry point of the `workbench` command."""
    app()


@app.command()
def models() -> None:
    """List the models that ship with the project."""
    import pandas as pd

    from steering.loading.demo_models import demo_card, demo_models

    rows = []
    for name in demo_models():
        card = demo_card(name)
        rows.append(
            {"name": name, "parameters": f"{card['parameters'] / 1e6:.1f} M", "what it is": card["description"]}
        )
    OUT.print(table(pd.DataFrame(rows)))
    OUT.print(
        "\nAny other text generator: a folder (also an adapter's), a GGUF file, or a Hub id such as Qwen/Qwen3-0.6B.",
        highlight=False,
    )


@app.command()
def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """List what installed packages add: panels, extraction methods, operations, judges, measures, question layouts,
    probing templates, studies; where each comes from, and what cannot be used.
    """
    with reported():
        from workbench.cli.plugins import print_plugins

        print_plugins(as_json=as_json)


for _command in (run, settings, extract, steer):
    app.command()(_command)


@app.command()
@loads_model
def tour(model: Model = "demo", *, load: dict[str, Any]) -> None:
    """Extract, steer and ablate on the demo model, and print what happened; takes under a minute."""
    with reported():
        from workbench.cli.tour import tour as take

        host = load_host(model, load)
        take(host)


@app.command()
@loads_model
def selfcheck(
    model: Model = "demo",
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    *,
    load: dict[str, Any],
) -> None:
    """Test on a model that the workbench reads and writes it rightly; exit code 1 where a check fails."""
    with reported():
        from workbench.cli.commands import print_checks

        if not print_checks(load_host(model, load, together=True), as_json=as_json):
            raise typer.Exit(1)


app.command("data")(data)
app.command()(export)
app.command("import")(import_vector)
app.command("orthogonalise")(orthogonalise)


if __name__ == "__main__":
    main()
