"""`workbench runs export / import / compare / open`: runs as files, side by side, and on their pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.console import ERR, OUT, reported, table
from workbench.cli.options import WithoutTexts, WorkspaceFolder


if TYPE_CHECKING:
    from steering.statistics import Estimate
    from steering.studies.study import Measure
    from workbench.doors.door import Link
    from workbench.runs.comparison import Comparison
    from workbench.runs.runs import Runs


def export(
    ids: Annotated[list[str], typer.Argument(help="The runs' ids, as `runs list` shows them.")],
    out: Annotated[
        Path, typer.Option(help="A .zip of one or several runs, or a folder for the files of one run's result.")
    ],
    bare: WithoutTexts = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Write runs as a ZIP that is read without the workbench, or the files of one as `run --out` does."""
    with reported():
        from steering.errors import SteeringError
        from workbench.workspace import Workspace

        found = Workspace(workspace).runs
        if out.suffix.lower() == ".zip":
            OUT.print(f"Written to {_write_zip(found, ids, out, texts=not bare)}", highlight=False)
            return
        if len(ids) > 1:
            raise SteeringError(f"'{out}' would be a folder of {len(ids)} runs.", "a name that ends in .zip.")
        OUT.print(f"Written to {_write_result(found, ids[0], out, texts=not bare)}", highlight=False)


def import_runs(
    file: Annotated[Path, typer.Argument(help="A ZIP of runs that `runs export` or the page Runs wrote.")],
    workspace: WorkspaceFolder = None,
) -> None:
    """Take runs in that were made in another workspace. Nothing that is here is changed."""
    with reported():
        from workbench.runs.arrivals import take_in
        from workbench.workspace import Workspace

        place = Workspace(workspace)
        for arrived in take_in(place.runs, file, dictionaries=place.dictionaries):
            OUT.print(f"{arrived.run.id}  {arrived}", markup=False, highlight=False)


def compare_runs(
    ids: Annotated[list[str], typer.Argument(help="Two to four runs' ids; the others are compared with the first.")],
    workspace: WorkspaceFolder = None,
) -> None:
    """Set two to four runs side by side: what was set otherwise, and what they differ by beyond their intervals."""
    with reported():
        from steering.studies.comparison import SAME_DATA, TEST
        from workbench.runs.comparison import compare
        from workbench.workspace import Workspace

        found = compare(Workspace(workspace).runs, ids)
        _print_runs(found)
        if found.measures:
            OUT.print(_measures(found))
            OUT.print(TEST, highlight=False)
            if found.same_data:
                OUT.print(SAME_DATA, highlight=False)
        else:
            OUT.print("They have no measures.", highlight=False)
        for row in found.texts:
            OUT.print(f"\n{row.place}", style="bold", markup=False, highlight=False)
            for label, text in zip(found.labels, row.texts, strict=True):
                OUT.print(f"  {label}: {'–' if text is None else text}", markup=False, highlight=False)


def open_run(
    id: Annotated[str, typer.Argument(help="The run's id, as `runs list` shows it.")],
    port: Annotated[int, typer.Option(help="Port to listen on, where no page of this workspace is served.")] = 7860,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    workspace: WorkspaceFolder = None,
) -> None:
    """Open a run's page as it was: on the page that is served of this workspace, or on one that is served now.

    No model is loaded for it.
    """
    with reported():
        import webbrowser

        from steering.errors import SteeringError
        from workbench.frame.serving import served_at
        from workbench.workspace import Workspace

        shelf = Workspace(workspace)
        run = shelf.runs.get(id)
        if not run.panel:
            raise SteeringError(
                f"The run “{run.title}” was made without a page.",
                "a run of a page.",
                "Look at it with `workbench runs show`, or choose it on the page Runs.",
            )

        def tell(link: Link) -> None:
            at = link.to(run.panel, run=run.id)
            ERR.print(f"The run is at {at}", highlight=False, soft_wrap=True)
            if open_browser:
                webbrowser.open(at)

        if link := served_at(shelf.folder):
            tell(link)
            return
        from workbench.doors.entrance import Entrance
        from workbench.frame.shell import launch

        launch("", Entrance(port=port), workspace=shelf.folder, tell=tell)


def _write_zip(found: Runs, ids: list[str], out: Path, *, texts: bool) -> Path:
    """Runs as a ZIP file that appears whole, in place of no other file but such a one."""
    from steering.errors import SteeringError
    from steering.own_files import publish, temporary_beside, typed_path
    from workbench.runs.archive import write_archive
    from workbench.runs.unpacking import is_archive

    path = typed_path(out)
    try:
        with temporary_beside(path) as temporary:
            with temporary.open("wb") as file:
                write_archive(found, ids, file, texts=texts)
            publish(temporary, path, over=is_archive)
    except OSError as error:
        raise SteeringError(
            f"'{out}' cannot be written: {error.strerror or error}.", "a folder that you may write to, with room in it."
        ) from error
    return path


def _write_result(found: Runs, id: str, out: Path, *, texts: bool) -> Path:
    """The files of a result in a folder."""
    from steering.errors import SteeringError
    from steering.studies.study import check_folder
    from steering.studies.without_texts import without_texts

    check_folder(out)
    result = found.result(id)
    if result is None:
        raise SteeringError("The run left no result.", "one that is done or was stopped.", "Go on with it first.")
    return (result if texts else without_texts(result)).write(out)


def _print_runs(found: Comparison) -> None:
    import pandas as pd

    rows = [
        {"": label, "run": run.title, "kind": run.kind, "model": run.model, "begun": run.begun[:16], "state": run.state}
        for label, run in zip(found.labels, found.runs, strict=True)
    ]
    OUT.print(table(pd.DataFrame(rows)))
    settings = [
        {"set otherwise": f"{each.what}: {each.name}", **dict(zip(found.labels, each.values, strict=True))}
        for each in found.settings
    ]
    if settings:
        OUT.print(table(pd.DataFrame(settings)))
    else:
        OUT.print("All that they depend on is the same.", highlight=False)


def _measures(found: Comparison) -> object:
    import pandas as pd

    first, *others = found.labels
    rows = [
        {
            "measure": f"{row.name}, {row.unit}" if row.unit else row.name,
            **{label: _value(measure) for label, measure in zip(found.labels, row.measures, strict=True)},
            **{f"{label} − {first}": _apart(each) for label, each in zip(others, row.differences, strict=True)},
        }
        for row in found.measures
    ]
    return table(pd.DataFrame(rows), "Measures")


def _value(measure: Measure | None) -> str:
    if measure is None:
        return "–"
    known = measure.low is not None and measure.high is not None
    return f"{measure.value:.3g}" + (f" [{measure.low:.3g}, {measure.high:.3g}]" if known else "")


def _apart(each: Estimate | None) -> str:
    from steering.studies.comparison import told_apart

    if each is None:
        return "no interval"
    said = "differ" if told_apart(each) else "not told apart"
    return f"{each.value:+.3g} [{each.low:+.3g}, {each.high:+.3g}] {said}"
