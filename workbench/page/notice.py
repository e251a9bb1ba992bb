"""What stands above a panel: why it does not work on the model in use, and of which other model its results are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from steering.names import short_name
from workbench.bench import Workbench
from workbench.memory import Made, Memory
from workbench.page.blocks import html_block
from workbench.page.kept_view import run_html
from workbench.page.markup import of_another_model


_MADE = "made"
"""Under which a panel's memory keeps of which model its results are."""
_SCRIPT = """
const follow = () => {
  const body = element.closest('.sw-body-column')?.querySelector('.sw-body');
  if (body) body.inert = element.querySelector('.sw-needs') !== null;
};
watch('value', follow);
follow();
element.addEventListener('click', event => {
  const asked = event.target.closest('[data-vectors]');
  if (asked) trigger('vectors', {run: asked.dataset.vectors});
});
"""
"""Keyboard and screen reader reach nothing of a panel while the notice says why it does not work. Fires `vectors` with
the run whose vectors are to stand on the shelf again.
"""


def made_of(memory: Memory, visitor: str, panel: str) -> Made | None:
    """Of which model a panel's results are and since when; None where it shows a visitor none."""
    found: Made | None = memory.value(visitor, panel, _MADE)
    return found


class Notice:
    """The notice of one panel's page. Results stay when another model is loaded; then it says whose they are."""

    def __init__(self, bench: Workbench, panel: str) -> None:
        self._bench, self._panel = bench, panel
        self._needs: Callable[[], str] = str
        self.html = html_block("", elem_classes="sw-notice", js_on_load=_SCRIPT, render=False)

    def place(self, needs: Callable[[], str]) -> None:
        """Place it here; `needs` gives, as HTML, why the panel does not work on the model in use, "" where it does."""
        self._needs = needs
        self.html.render()

    def drawn(self, visitor: str) -> str:
        """What it says to a visitor now."""
        made, host = made_of(self._bench.memory, visitor, self._panel), self._bench.host
        link = run_html(made.run) if made is not None and made.run else ""
        if host is None or made is None or made.of(short_name(host.info.name), host.info.summary):
            return self._needs() + link
        return self._needs() + of_another_model(str(made), short_name(host.info.name)) + link

    def results_begin(self, visitor: str, run: str = "") -> str:
        """Take down that results of the model in use are shown from now on; gives what it says then.

        Args:
            visitor: To whom.
            run: Id of the run in the list; "" where it is not kept.
        """
        host = self._bench.host
        if host is not None:
            made = Made(short_name(host.info.name), host.info.summary, datetime.now(), run)
            self._bench.memory.keep(visitor, self._panel, {_MADE: made})
        return self.drawn(visitor)
