"""How much a study measures: quickly, as `--quick` does on the command line, or fully, each with about its time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import gradio as gr

from steering.model.host import Host
from steering.numbers import about_seconds
from steering.studies.size import Size
from steering.studies.study import Study
from workbench.controls.fields import Fields
from workbench.page.blocks import EVENT, html_block
from workbench.page.inputs import text_of
from workbench.page.markup import escape
from workbench.page.picks import PICK_SCRIPT


_WORDS = {"quick": "Quick", "full": "Full"}
_TIPS = {"quick": "a first look: smaller numbers, as --quick on the command line", "full": "the study's own numbers"}


class Extent:
    """Two buttons that set a form's numbers; the one whose numbers stand there is pressed."""

    def __init__(self, form: Fields, study: Study, *, elem_id: str, leave: Collection[str] = ()) -> None:
        """Place them; `html` draws them.

        Args:
            form: Of the study's settings.
            study: Has the quick ones.
            elem_id: Unique on the page.
            leave: Quick settings that the page keeps as they are, since they follow something else there.
        """
        fields = {name: field for name, field in form.fields.items() if name not in leave}
        self._values = {
            "quick": {name: value for name, value in study.quick.items() if name in fields},
            "full": {name: fields[name].default for name in study.quick if name in fields},
        }
        self.block = html_block("", elem_id=elem_id, js_on_load=PICK_SCRIPT)
        self.block.choose(self._chosen, outputs=[form], **EVENT)

    def html(self, host: Host, ready: Mapping[str, Any], count: Callable[[dict[str, Any]], Size]) -> str:
        """The buttons with their times.

        Args:
            host: The model that it would run on.
            ready: What stands in the form.
            count: How much a run with some values does.

        Raises:
            SteeringError: As `count`.
        """
        buttons = "".join(self._button(name, host, ready, count) for name in _WORDS)
        return f'<div class="sw-extents" role="group" aria-label="How much is measured">{buttons}</div>'

    def _button(self, name: str, host: Host, ready: Mapping[str, Any], count: Callable[[dict[str, Any]], Size]) -> str:
        values = self._values[name]
        told = _time(count({**ready, **values}), host)
        pressed = str(all(ready.get(each) == value for each, value in values.items())).lower()
        return (
            f'<button type="button" class="sw-extent" data-pick="{name}" aria-pressed="{pressed}" '
            f'title="{escape(_TIPS[name])}">{_WORDS[name]}{escape(told)}</button>'
        )

    def _chosen(self, event: gr.EventData) -> dict[str, Any]:
        return dict(self._values.get(text_of(event, "pick"), {}))


def _time(size: Size, host: Host) -> str:
    seconds = size.seconds(host)
    if size.done:
        return " · kept already"
    return "" if seconds is None else f" · about {about_seconds(seconds)}"
