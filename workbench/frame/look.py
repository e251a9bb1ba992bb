"""How a page stays true to the model and the shelf, which other visitors and the loading thread change too.

A small script asks for one short text now and then, and not while the page is hidden; only where that differs from what
the page shows does it fire an event. An event of Gradio's costs the browser 80 to 300 ms, such a look next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from steering.job import Job
from steering.lane import OTHERS
from steering.resources import resource
from steering.texts.system_prompts import takes_system
from workbench.bench import Workbench
from workbench.doors.at_hand import visit_at_hand
from workbench.frame.dropped import drop_function
from workbench.frame.exported import run_functions
from workbench.page.blocks import EVENT, html_block
from workbench.page.cards import model_bar
from workbench.page.jobs import how_far
from workbench.page.markup import escape
from workbench.page.state import PageState
from workbench.page.visits import visitor_of


OFTEN, SELDOM = 1000, 4000
"""Milliseconds between two looks: while something runs, and otherwise."""
_SCRIPT = resource("assets", "look", "look.js").read_text(encoding="utf-8")


@dataclass(frozen=True, eq=False)
class Look:
    """A look at the model and the shelf."""

    draw: Callable[[], Mapping[Any, Any]]
    outputs: Sequence[Any]


def bar_block(bench: Workbench) -> gr.HTML:
    """The model bar's place on a page, which looks after itself; `place_look` says what happens then."""

    def seen(given: Any, request: gr.Request) -> dict[str, Any]:
        """What the page compares with what it shows, and what else runs, and who asks; called by its script."""
        visitor = visitor_of(request)
        jobs = [
            {"id": job.id, "title": title_of(job), "said": said_of(job), "panel": bench.live.panel_of(visitor, job)}
            for job in bench.lane.jobs()
        ]
        visit = visit_at_hand()
        user = visit.user if visit else ""
        return {"seen": stamp(bench), "wait": OFTEN if jobs else SELDOM, "jobs": jobs, "user": user}

    # Marked until the page has been drawn as it stood: what is clicked before would be answered with defaults.
    return html_block(
        f'<div class="sw-opening">{model_bar(None)}</div>',
        elem_classes="sw-model-slot",
        js_on_load=_SCRIPT,
        server_functions=[seen, drop_function(bench), *run_functions(bench)],
    )


def title_of(job: Job[Any]) -> str:
    """What a job is called for whoever is at hand: by its title where it is theirs, or nobody's in particular."""
    return job.title if _is_told(job) else OTHERS.capitalize()


def said_of(job: Job[Any]) -> str:
    """How far it is, without a word of what somebody else does."""
    if _is_told(job):
        return how_far(job)
    return f"{job.place} before it" if job.place else "runs"


def _is_told(job: Job[Any]) -> bool:
    visit = visit_at_hand()
    return not visit or job.asker in ("", visit.room)


def stamp(bench: Workbench) -> str:
    """Changes whenever a page should be drawn anew: with the model, the shelf, and each second of a load."""
    loading = bench.model.loading
    return "-".join(str(int(each)) for each in (*bench.seen, loading.elapsed if loading else 0))


def place_look(bench: Workbench, state: PageState, bar: gr.HTML) -> Look:
    """Wire what a look does; gives what is drawn when the page is opened."""

    def drawn() -> dict[Any, Any]:
        model, loading, seen = bench.model, bench.model.loading, stamp(bench)
        html = model_bar(
            model.host.info if model.host else None,
            checks=model.host.check if model.host else (),
            system=takes_system(model.host) if model.host else True,
            loading=model.wanted if loading else "",
            seconds=loading.elapsed if loading else 0.0,
            error=model.error if loading is None and model.host is None else None,
        )
        shown = f'<div data-seen="{escape(seen)}" data-model="{model.loads}">{html}</div>'
        return {state.shelf_seen: bench.seen, state.model_seen: model.stamp, bar: shown}

    outputs = [state.model_seen, state.shelf_seen, bar]
    bar.look(drawn, outputs=outputs, **EVENT)
    return Look(drawn, outputs)
