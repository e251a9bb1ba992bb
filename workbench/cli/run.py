"""`workbench run`, `settings` and `extract`: studies without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.console import ERR, OUT, reported
from workbench.cli.options import Model, WithoutTexts, WorkspaceFolder, load_host, loads_model
from workbench.cli.workers import check_workers, spread_as, takes_workers


@takes_workers
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
    workers: dict[str, Any],
) -> None:
    """Run a study without a screen and print its main table; vectors come from the shelf by their names.

    A file is a YAML of `runs code`, a folder of `--out` or `runs export`, or anything else that the workbench exported:
    its run is made again, with what is typed beside it in place of what it says. The model is demo where none is named.

    A study that keeps its finished parts goes on from them when the same command is given again.
    """
    with reported():
        from steering.numbers import counted
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
        check_workers(chosen, workers)
        if out:
            check_folder(out)
        given = in_workspace(chosen, file.given(typed, Workspace(workspace)) if file else typed, Workspace(workspace))
        parsed = chosen.parse(given, quick=quick)
        kept_in(getattr(parsed, "kept", ""))  # refuses somebody else's file before a model is loaded
        host = host_of(file, load) if file and not model else load_host(model or "demo", load)
        tell_size(host, chosen, parsed)
        with spread_as(host, workers):
            result = run_kept(Workspace(workspace), host, chosen, parsed)
        try:
            finish(chosen, result, out, texts=not bare)
        finally:  # also where the files cannot be written
            for vector in result.vectors.values() if shelf else ():
                OUT.print(f"On the shelf as '{Workspace(workspace).put(vector)}'.", highlight=False)
        if result.vectors and not shelf and not out:
            made = counted(len(result.vectors), "vector")
            ERR.print(f"{made} made, not on the shelf: the same command with --shelf puts them there.", highlight=False)


def settings(study: Annotated[str, typer.Argument(help="Name of the study, such as extract.")]) -> None:
    """List what `run STUDY --set key=value` takes: every setting with its default and what it means."""
    with reported():
        from steering.studies import find_study
        from workbench.cli.commands import print_settings

        print_settings(find_study(study))


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
