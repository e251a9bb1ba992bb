"""The `workbench` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from workbench.cli.console import ERR, OUT, follow, reported, table
from workbench.cli.data import data
from workbench.cli.demo import demo
from workbench.cli.options import Model, WithoutTexts, WorkspaceFolder, load_host, loads_model
from workbench.cli.run_files import code
from workbench.cli.runs import runs
from workbench.cli.serve import serve
from workbench.cli.shelf import vectors
from workbench.cli.vectors import export_vector, import_vector, orthogonalise


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
runs.command("code")(code)
app.command()(serve)


def main() -> None:
    """Entry point of the `workbench` command."""
    app()


@app.command()
def models() -> None:
    """List the models that ship with the project."""
    import pandas as pd

    from steering.loading.loader import demo_card, demo_models

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
def panels(
    panels_dir: Annotated[Path | None, typer.Option(help="Folder of single-file panels.")] = None,
) -> None:
    """List the panels that were found, and those that could not be used."""
    import pandas as pd

    from workbench.discovery import discover

    with reported():
        found = discover(panels_dir)
    OUT.print(table(pd.DataFrame([{"id": p.id, "title": p.title, "what it does": p.summary} for p in found.panels])))
    for problem in found.broken:
        ERR.print(f"[bold red]{problem.source}:[/] ", end="")
        ERR.print(str(problem.error), markup=False, highlight=False)
    if found.broken:
        raise typer.Exit(1)


@app.command()
@loads_model
def run(
    study: Annotated[
        str, typer.Argument(help="Name of the study, such as extract; or a file that says which run it comes from.")
    ],
    model: Model = "",
    quick: Annotated[bool, typer.Option("--quick", help="Small settings, for a first look.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting as key=value; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for result.json and the tables.")] = None,
    bare: WithoutTexts = False,
    shelf: Annotated[bool, typer.Option("--shelf", help="Put the vectors that it makes on the shelf.")] = False,
    workspace: WorkspaceFolder = None,
    *,
    load: dict[str, Any],
) -> None:
    """Run a study without a screen and print its main table; vectors come from the shelf by their names.

    A file is a YAML of `runs code`, a folder of `--out` or `runs export`, or anything else that the workbench exported:
    its run is made again, with what is typed beside it in place of what it says. The model is demo where none is named.

    A study that keeps its finished parts goes on from them when the same command is given again.
    """
    with reported():
        from steering.store import kept_in
        from steering.studies import find_study
        from steering.studies.study import check_folder
        from workbench.cli.commands import finish, tell_size
        from workbench.cli.kept_runs import in_workspace, run_kept
        from workbench.cli.run_files import host_of, run_file
        from workbench.key_values import pairs
        from workbench.workspace import Workspace

        file, typed = run_file(study), pairs(settings or [])
        chosen = find_study(file.origin.study if file else study)
        if out:
            check_folder(out)
        given = in_workspace(chosen, file.given(typed, Workspace(workspace)) if file else typed, Workspace(workspace))
        parsed = chosen.parse(given, quick=quick)
        kept_in(getattr(parsed, "kept", ""))  # refuses somebody else's file before a model is loaded
        host = host_of(file, load) if file and not model else load_host(model or "demo", load)
        tell_size(host, chosen, parsed)
        result = run_kept(Workspace(workspace), host, chosen, parsed)
        try:
            finish(chosen, result, out, texts=not bare)
        finally:  # also where the files cannot be written
            for vector in result.vectors.values() if shelf else ():
                OUT.print(f"On the shelf as '{Workspace(workspace).put(vector)}'.", highlight=False)


@app.command()
def settings(study: Annotated[str, typer.Argument(help="Name of the study, such as extract.")]) -> None:
    """List what `run STUDY --set key=value` takes: every setting with its default and what it means."""
    with reported():
        from steering.studies import find_study
        from workbench.cli.commands import print_settings

        print_settings(find_study(study))


@app.command()
@loads_model
def extract(
    contrast: Annotated[
        str, typer.Argument(help="A preset contrast set, or a file, perhaps as FILE::GOOD,BAD.")
    ] = "formality",
    model: Model = "demo",
    method: Annotated[
        str, typer.Option(help="mean_difference, logistic, lda, leace, pairwise_pca and more.")
    ] = "mean_difference",
    site: Annotated[str, typer.Option(help="Where in each block to read.")] = "block_output",
    pooling: Annotated[
        str, typer.Option(help="last_token, last_content, mean_content, mean_reply, or positions such as -3,-2,-1.")
    ] = "last_token",
    system: Annotated[str, typer.Option(help="System prompt before every prompt.")] = "",
    name: Annotated[str, typer.Option(help="Name of the vector; the contrast set's by default.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for result.json, the table and the vector.")] = None,
    workspace: WorkspaceFolder = None,
    *,
    load: dict[str, Any],
) -> None:
    """Extract a steering vector, print how well it separates at each block, and put it on the shelf."""
    with reported():
        from steering.passes.pooling import parse_pooling
        from steering.studies import find_study
        from steering.studies.study import check_folder
        from workbench.cli.commands import finish, tell_size
        from workbench.cli.kept_runs import run_kept
        from workbench.workspace import Workspace

        study = find_study("extract")
        if out:
            check_folder(out)
        given = {"contrast": contrast, "method": method, "site": site, "pooling": parse_pooling(pooling)}
        given |= {"name": name, "system": system}
        parsed = study.parse(given)
        shelf = Workspace(workspace)
        host = load_host(model, load)
        tell_size(host, study, parsed)
        result = run_kept(shelf, host, study, parsed)
        finish(study, result, out)
        for vector in result.vectors.values():
            OUT.print(f"On the shelf as '{shelf.put(vector)}'.", highlight=False)


@app.command()
@loads_model
def steer(
    prompt: Annotated[str, typer.Argument(help="What to say to the model.")],
    vector: Annotated[
        list[str] | None, typer.Option("--vector", "-v", help="Name on the shelf, or a file. May be repeated.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="A recipe file (JSON or YAML), or the name of a saved one, instead of the options below."),
    ] = None,
    mode: Annotated[str, typer.Option(help="add, ablate, affine, clamp, rotate or erase.")] = "add",
    at: Annotated[
        str,
        typer.Option(
            "--at",
            help="default; all (each block's own direction); everywhere (the default block's direction at every "
            "block's input, attention and MLP output); or numbers: 4, 2,5 or 3-6.",
        ),
    ] = "default",
    strength: Annotated[
        float | None, typer.Option(help="How far; the vector's suggestion by default. Negative steers away.")
    ] = None,
    unit: Annotated[str, typer.Option(help="mean_difference, residual_norm, raw or nats.")] = "mean_difference",
    scope: Annotated[str, typer.Option(help="all, reply, prompt, last or generated.")] = "all",
    system: Annotated[str, typer.Option(help="System prompt.")] = "",
    length: Annotated[int, typer.Option(help="The most tokens in the reply.")] = 60,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    model: Model = "demo",
    workspace: WorkspaceFolder = None,
    *,
    load: dict[str, Any],
) -> None:
    """Print the unsteered and the steered reply to a prompt, generated in one batch."""
    with reported():
        from steering.model.model_info import DEMO_CAVEAT
        from steering.model.openings import chat_notes
        from steering.names import short_name
        from steering.passes.decoding import stream
        from steering.studies.steer import SteerSettings, cautions, rows_for, steer_result
        from steering.studies.study import told
        from workbench.cli.commands import chosen_recipe, print_replies
        from workbench.cli.kept_runs import kept_run, named_plainly
        from workbench.controls.recipe_words import applied
        from workbench.runs.run import Run, titled
        from workbench.workspace import Workspace

        fields = {"mode": mode, "blocks": at, "unit": unit, "scope": scope, "strength": strength}
        decode = {"max_new_tokens": length, "temperature": temperature, "seed": seed}
        chosen, vectors = chosen_recipe(recipe, vector or [], fields, decode, workspace)
        host = load_host(model, load)
        chosen = chosen.stamped(host)
        for caution in cautions(host, vectors):
            ERR.print(f"[yellow]Caution:[/] {escape(caution)}", highlight=False)
        for said in chat_notes(chosen.on(host)):
            ERR.print(escape(said), highlight=False)
        plain, used = named_plainly(chosen, vectors)
        settings = SteerSettings(user=prompt, system=system, recipes=(plain,))
        rows = rows_for(host, settings.conversation, {"a": chosen}, vectors)
        asked = Run("", "steer", titled("Steer", prompt), short_name(host.name))
        with kept_run(Workspace(workspace), host, asked, settings, recipes=(plain,), vectors=used) as record:
            replies = follow(stream(host, rows, chosen.decode))
            record.result = told(steer_result(host, settings, replies, used), host)
        done, prefill = applied(host, chosen, vectors), chosen.on(host).chat.prefill
        print_replies(chosen, replies, done, prefill=prefill, warnings=host.warnings, as_json=as_json)
        if host.info.demo and not as_json:
            OUT.print(f"\n[dim]{DEMO_CAVEAT}[/]")


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

        if not print_checks(load_host(model, load), as_json=as_json):
            raise typer.Exit(1)


app.command("data")(data)
app.command("export")(export_vector)
app.command("import")(import_vector)
app.command("orthogonalise")(orthogonalise)


if __name__ == "__main__":
    main()
