"""A grid of replies as HTML, on the page and as a file of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from steering.recipes.modes import MODES
from steering.studies.grid import Axis, Cell, Grid
from steering.vectors.strength import unit_words
from steering.vectors.vector import SteeringVector
from workbench.controls.panes import card_at
from workbench.page.markup import card, escape, heading, note


Cells = Mapping[tuple[int, int], Cell]
_FLOOR = 1.0
"""Nats that get the full colour at least."""
_SHARES = "shares of the projection"
GRID_SCRIPT = """
element.addEventListener('click', event => {
  const cell = event.target.closest('[data-x]');
  if (!cell) return;
  const open = event.target.closest('.sw-open') !== null;
  element.querySelectorAll('.sw-chosen').forEach(each => each.classList.remove('sw-chosen'));
  cell.classList.add('sw-chosen');
  trigger(open ? 'open' : 'choose', {x: +cell.dataset.x, y: +cell.dataset.y});
});
"""
"""Fires `choose` with (x, y) for a cell, and `open` for its button."""
_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:24px;color:#1d2024;background:#fff}
table{border-collapse:collapse}th,td{border:1px solid #e3e2dd;padding:8px;vertical-align:top;text-align:left}
td{min-width:180px;max-width:420px;background:color-mix(in srgb,#0072b2 calc(var(--v)*40%),transparent)}
p{margin:0 0 6px;white-space:pre-wrap;overflow-wrap:anywhere}small,caption{color:#5b6068}caption{text-align:left}
pre{background:#f7f7f5;padding:12px;overflow:auto}
@media(prefers-color-scheme:dark){body{background:#14161a;color:#e8e9ea}th,td{border-color:#2c3037}pre{background:#1b1e23}}
"""


def grid_html(
    grid: Grid | None,
    cells: Cells,
    *,
    running: bool = False,
    warnings: Collection[str] = (),
    first: SteeringVector | None = None,
) -> str:
    """The grid so far, below the warnings; a cell that is not done is waiting, or empty once nothing runs. `first` is
    the vector whose strength varies, which knows what its unit is called.
    """
    if grid is None:
        return ""
    body = _table(grid, cells, "Waiting …" if running else "Not done", buttons=True)
    said = "".join(map(note, warnings))
    return card(
        f'{heading(title_of(grid))}{said}<div class="sw-scroll">{body}</div>{note(_caption(grid, cells, first))}'
    )


def cell_html(grid: Grid, cell: Cell) -> str:
    """One cell's whole text, with where it stands and what was modified."""
    where = ", ".join(f"{axis.kind} {label}" for axis, label in _places(grid, cell))
    return card_at(
        heading(where) + f'<p class="sw-reply">{escape(cell.text) or "(no text)"}</p>' + note(_facts(cell, whole=True))
    )


def grid_page(
    grid: Grid,
    cells: Cells,
    model: str,
    created: str,
    warnings: Collection[str] = (),
    first: SteeringVector | None = None,
) -> str:
    """A self-contained HTML file: the grid, the model and its failed self-checks, and the recipe to run it again."""
    failed = "".join(f"<p><b>{escape(each)}</b></p>" for each in warnings)
    recipe = escape(grid.recipe.model_dump_json(indent=2))
    asked = "" if "prompt" in _kinds(grid) else f"<p><b>Prompt</b> {escape(grid.user)}</p>"
    system = f"<p><b>System</b> {escape(grid.system)}</p>" if grid.system else ""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title_of(grid))}</title><style>{_STYLE}</style></head><body><h1>{escape(title_of(grid))}</h1>"
        f"<p><small>{escape(model)} · {escape(created)}</small></p>{failed}{system}{asked}"
        f"{_table(grid, cells, 'Not done', buttons=False)}<p><small>{escape(_caption(grid, cells, first))}</small></p>"
        f"<details><summary>Recipe as JSON</summary><pre>{recipe}</pre></details></body></html>"
    )


def _table(grid: Grid, cells: Cells, missing: str, *, buttons: bool) -> str:
    rows = grid.y.labels if grid.y else [""]
    corner = " ".join(filter(None, (f"{grid.y.kind} ↓" if grid.y else "", f"{grid.x.kind} →")))
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in grid.x.labels)
    full = _full(cells)
    # A single row has its labels in the cells too: on the page they stand as cards, as many beside each other as fit.
    labels = grid.x.labels if grid.y is None else [""] * len(grid.x.labels)
    body = "".join(
        f'<tr><th scope="row">{escape(row)}</th>'
        + "".join(_cell(cells.get((x, y)), x, y, full, missing, buttons, label) for x, label in enumerate(labels))
        + "</tr>"
        for y, row in enumerate(rows)
    )
    kind = "sw-grid" if grid.y else "sw-grid sw-in-a-row"
    return f'<table class="{kind}"><thead><tr><th>{escape(corner)}</th>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(cell: Cell | None, x: int, y: int, full: float, missing: str, buttons: bool, label: str) -> str:
    at = f'<b class="sw-at">{escape(label)}</b>' if label and buttons else ""
    if cell is None:
        return f'<td class="sw-faint" style="--v:0">{at}{missing}</td>'
    text = escape(cell.text) or "(no text)"
    if not buttons:
        return f'<td style="--v:{cell.divergence / full:.2f}"><p>{text}</p><small>{_facts(cell)}</small></td>'
    return (
        f'<td style="--v:{cell.divergence / full:.2f}" data-x="{x}" data-y="{y}">'
        f'{at}<button class="sw-cell" title="Show the whole text">{text}</button>'
        f'<small>{_facts(cell)}</small> <button class="sw-open">Open in Steer</button></td>'
    )


def _facts(cell: Cell, *, whole: bool = False) -> str:
    tokens = f"{cell.tokens} token{'s' * (cell.tokens != 1)}"
    facts = f"{tokens} · KL p95 {_nats(cell.divergence)}"
    if not whole:
        return facts
    modified = f"modified {cell.modified_prompt} prompt + {cell.modified_generated} generated positions"
    known = " · known from an earlier run" if cell.known else ""
    return f"{facts} (95th percentile over its tokens) · {modified}{known}"


def _nats(value: float) -> str:
    return f"{value:.2g} nats" if value >= 0.001 or value == 0 else "under 0.001 nats"


def title_of(grid: Grid) -> str:
    """What a grid is called."""
    return "Replies by " + " and ".join(_kinds(grid))


def _caption(grid: Grid, cells: Cells, vector: SteeringVector | None) -> str:
    unit = _unit(grid, vector)
    known = sum(cell.known for cell in cells.values())
    done = f"{len(cells)} of {len(grid)} cells" + (f", {known} of them known from earlier runs" if known else "")
    colour = f"95th percentile over the reply's tokens of KL(unsteered || recipe), full at {_full(cells):.2g} nats"
    return f"{done}.{unit} Colour of a cell: {colour}."


def _unit(grid: Grid, vector: SteeringVector | None) -> str:
    if "strength" not in _kinds(grid) or not grid.recipe.interventions:
        return ""
    first = grid.recipe.interventions[0]
    scale = MODES[first.mode].scale if first.unit != "nats" else None
    unit = unit_words(first.unit, vector) if scale is None else _SHARES if first.mode == "ablate" else scale.unit
    return f" Strength in {unit}."


def _full(cells: Cells) -> float:
    return max([_FLOOR, *(cell.divergence for cell in cells.values())])


def _kinds(grid: Grid) -> list[str]:
    return [axis.kind for axis in (grid.x, grid.y) if axis is not None]


def _places(grid: Grid, cell: Cell) -> list[tuple[Axis, str]]:
    places = [(grid.x, grid.x.labels[cell.x])]
    return [*places, (grid.y, grid.y.labels[cell.y])] if grid.y else places
