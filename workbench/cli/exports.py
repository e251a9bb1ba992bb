"""`workbench export`: a vector as a file, or a recipe for another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.console import ERR, OUT, reported
from workbench.cli.options import Model, WorkspaceFolder, load_host, loads_model


@loads_model
def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="VECTOR|RECIPE",
            help="A vector: name on the shelf, or file. With --to a recipe: file, or name of a saved one.",
        ),
    ],
    out: Annotated[
        Path, typer.Argument(help="What to write: .safetensors or .gguf; a folder for vllm and checkpoint.")
    ],
    to: Annotated[
        str, typer.Option("--to", help="Export a recipe: vllm (plugin), gguf (llama.cpp) or checkpoint (weights).")
    ] = "",
    at: Annotated[str, typer.Option("--at", help="Vector to GGUF: all, default, or blocks such as 4 or 2,5-7.")] = "",
    strength: Annotated[float, typer.Option(help="Vector to GGUF: what scale 1 adds, in `unit`.")] = 1.0,
    unit: Annotated[
        str, typer.Option(help="Vector to GGUF: mean_difference, residual_norm or raw.")
    ] = "mean_difference",
    save_edited_weights: Annotated[
        bool, typer.Option("--save-edited-weights", help="checkpoint: say that you want such a model on disk.")
    ] = False,
    model: Model = "demo",
    workspace: WorkspaceFolder = None,
    *,
    load: dict[str, Any],
) -> None:
    """Write a vector to a file (GGUF is what llama.cpp adds at the blocks' outputs), or with --to a recipe for another
    engine: what does not carry over is named, and what was written is read back and checked.
    """
    with reported():
        from workbench.cli.commands import check_new_model, chosen_recipe, export_vector, named_vectors

        if not to:
            (found,) = named_vectors([what], workspace).values()
            lines = export_vector(found, out, at=at, strength=strength, unit=unit)
        else:
            from steering.engines.export import check_place, export_recipe

            check_place(to, out)
            recipe, vectors = chosen_recipe(Path(what), [], {}, {}, workspace)
            if to == "checkpoint":
                check_new_model(", ".join(recipe.vectors), out, agreed=save_edited_weights)
            host = load_host(model, load)
            with ERR.status("Writing and reading back"):
                lines = export_recipe(to, recipe, host, vectors, out)
        for line in lines:
            OUT.print(line, highlight=False)
