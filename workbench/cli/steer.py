"""`workbench steer`: a prompt, answered with and without vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from workbench.cli.console import ERR, OUT, follow, reported
from workbench.cli.options import Model, WorkspaceFolder, load_host, loads_model


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
    mode: Annotated[
        str,
        typer.Option(
            help="add, ablate, affine, clamp, rotate, erase; of features feature_clamp, feature_scale, feature_off."
        ),
    ] = "add",
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
        from steering.loading.tensor_parallel import place_among_others
        from steering.model.model_info import DEMO_CAVEAT
        from steering.model.openings import chat_notes
        from steering.names import short_name
        from steering.passes.decoding import stream
        from steering.recipes.applied import applied
        from steering.studies.steer import SteerSettings, cautions, rows_for, steer_result
        from steering.studies.study import told
        from workbench.cli.commands import chosen_recipe, print_replies
        from workbench.cli.kept_runs import kept_run, named_plainly
        from workbench.runs.run import Run, titled
        from workbench.temporary import passing_folder
        from workbench.workspace import Workspace

        fields = {"mode": mode, "blocks": at, "unit": unit, "scope": scope, "strength": strength}
        decode = {"max_new_tokens": length, "temperature": temperature, "seed": seed}
        chosen, vectors = chosen_recipe(recipe, vector or [], fields, decode, workspace)
        host = load_host(model, load, together=True)
        chosen = chosen.stamped(host)
        for caution in cautions(host, vectors):
            ERR.print(f"[yellow]Caution:[/] {escape(caution)}", highlight=False)
        for said in chat_notes(chosen.on(host)):
            ERR.print(escape(said), highlight=False)
        plain, used = named_plainly(chosen, vectors)
        settings = SteerSettings(user=prompt, system=system, recipes=(plain,))
        rows = rows_for(host, settings.conversation, {"a": chosen}, vectors)
        asked = Run("", "steer", titled("Steer", prompt), short_name(host.name))
        first = place_among_others()[0] == 0  # the others do the same, and what they find is kept once
        with kept_run(
            Workspace(workspace if first else passing_folder("steering-workbench-beside-")),
            host,
            asked,
            settings,
            recipes=(plain,),
            vectors=used,
        ) as record:
            replies = follow(stream(host, rows, chosen.decode))
            record.result = told(steer_result(host, settings, replies, used), host)
        done, prefill = applied(host, chosen, vectors), chosen.on(host).chat.prefill
        print_replies(chosen, replies, done, prefill=prefill, warnings=host.warnings, as_json=as_json)
        if host.info.demo and not as_json:
            OUT.print(f"\n[dim]{DEMO_CAVEAT}[/]")
