"""`workbench demo`: train, measure and read the models that ship with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.console import OUT, follow, reported, table


demo = typer.Typer(no_args_is_help=True, help="The models that ship with the project.")


@demo.command("train")
def demo_train(
    which: Annotated[str, typer.Option(help="all, or some of the demo models by name, with commas between.")] = "all",
    out: Annotated[Path, typer.Option(help="Folder that gets one folder a model.")] = Path("demo-models"),
    effort: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the usual steps, for a trial.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of data order and initial weights.")] = 0,
) -> None:
    """Train the demo models from the project's own grammar; all of them take about an hour on two cores.

    A run that was interrupted goes on from its last checkpoint when the same command is given again.
    """
    with reported():
        from steering.demo.train import TrainSettings, train
        from steering.lane import Lane

        settings = TrainSettings(out=out, which=which, seed=seed, effort=effort)
        job = Lane().submit(
            lambda job: train(settings, progress=lambda share, line: job.report(round(1000 * share), 1000, line)),
            title="Training demo models",
        )
        for name, card in follow(job).items():
            OUT.print(f"Written to {out / name}, {card['seconds'] / 60:.0f} minutes.", highlight=False)
        OUT.print(f"Measure them with: workbench demo check --models {out}", highlight=False)


@demo.command("dictionaries")
def demo_dictionaries(
    model: Annotated[str, typer.Option(help="A demo model, or a folder with one.")] = "demo",
    out: Annotated[Path, typer.Option(help="Folder that gets one folder a dictionary.")] = Path("demo-dictionaries"),
) -> None:
    """Train sparse autoencoders and transcoders of a demo model; about six minutes on two cores.

    A run that was interrupted goes on from its last checkpoint when the same command is given again.
    """
    with reported():
        import pandas as pd

        from steering.model.host import Host
        from steering.studies.dictionaries.demo_set import demo_dictionaries as trainings

        host, rows = Host.load(model), []
        for name, job in trainings(host, out):
            result = follow(job)
            rows.append({"dictionary": name, **result.tables["held_out"].iloc[0].drop("dictionary")})
        OUT.print(table(pd.DataFrame(rows), "On held-out text"))
        OUT.print(f"Written to {out}.", highlight=False)


@demo.command("check")
def demo_check(
    quick: Annotated[bool, typer.Option("--quick", help="A fixed subset, in under a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Write what was measured into the models' cards.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--models", help="Folder with a folder a member; the shipped models by default.")
    ] = None,
) -> None:
    """Measure the demo models afresh and print every number beside its bar; exit code 1 where one is missed."""
    with reported():
        from workbench.cli.demo_check import run_check

        if not run_check(quick=quick, as_json=as_json, record=record, folder=folder):
            raise typer.Exit(1)
