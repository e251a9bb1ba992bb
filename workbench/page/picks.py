"""Tables whose rows or cells can be clicked: a plot of Gradio's has no clicks, so the table below it leads on."""

from __future__ import annotations


PICK_SCRIPT = """
element.addEventListener('click', event => {
  const cell = event.target.closest('[data-pick]');
  if (!cell) return;
  element.querySelectorAll('.sw-chosen').forEach(each => each.classList.remove('sw-chosen'));
  cell.classList.add('sw-chosen');
  trigger('choose', {pick: cell.dataset.pick});
});
"""
"""Fires `choose` with what a cell or row stands for."""


def pick_table(head: str, body: str, *, tall: bool = False) -> str:
    """A table around header cells and rows that are escaped already; what has `data-pick` can be clicked.

    Args:
        head: Header cells.
        body: Rows.
        tall: Whether it may have so many rows that it scrolls within half a window.
    """
    rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    around = f'class="sw-scroll{" sw-tall" if tall else ""}" tabindex="0" role="group" aria-label="Table"'
    return f'<div {around}><table class="sw-table sw-picks">{rows}</table></div>'
