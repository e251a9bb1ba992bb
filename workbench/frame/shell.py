"""The pages: a start page and one for every panel, each in the same frame; and the server that shows them."""

from __future__ import annotations

import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from steering.confines import Confines
from steering.errors import SteeringError
from steering.loading.demo_models import demo_models
from steering.loading.options import LoadOptions
from steering.model.chat_settings import ChatSettings
from steering.resources import resource
from workbench.bench import ANY, Workbench
from workbench.controls.default_form import build_form
from workbench.doors.door import Door, Link
from workbench.doors.entrance import Entrance
from workbench.frame.look import place_look
from workbench.frame.modelbar import place_model_bar
from workbench.frame.navigation import THEME_SCRIPT, Place, navigation, places_of
from workbench.frame.opening import place_opening
from workbench.frame.serving import SESSIONS, guarded, keep_uploads_private, note_address, serve_until_ended
from workbench.frame.shelf import place_shelf
from workbench.frame.start import place_start, public_said
from workbench.page.blocks import html_block, run_first
from workbench.page.cards import NAME
from workbench.page.context import PanelContext
from workbench.page.inputs import Page
from workbench.page.markup import error_card, escape, fold
from workbench.page.settings import Settings, parts_in
from workbench.page.state import PageState
from workbench.page.theme import FIRST, WorkbenchTheme, head
from workbench.panel import Panel
from workbench.uploads import LARGEST_FILE


_log = logging.getLogger(__name__)
# Nothing is sent anywhere; and Gradio would work out statistics of its last 10,000 events anew at every event.
_GRADIO = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_ANALYTICS_MAX_EVENTS": "100",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000",
}
_WAITING = 2000
"""Events of all visitors that may wait at once; where nothing is said, Gradio takes one on ZeroGPU, and an opened page
sends several.
"""


def build(bench: Workbench) -> Page:
    """Lay out the workbench: a start page, and a page of its own for every panel, which costs the others nothing."""
    places = places_of(bench.catalogue)
    with bench.rooms.layout() if bench.rooms else nullcontext():
        pages = Page(title=NAME, analytics_enabled=False, fill_width=True, delete_cache=bench.passing)
        addresses = [pages.route(place.title, place.path, show_in_navbar=False).current_page for place in places]
        with pages:  # once: whenever it is left, Gradio makes the configuration and the app of all pages anew
            for place, address in zip((None, *places), ("", *addresses), strict=True):
                pages.current_page = address
                _place_page(bench, pages, places, place)
    return pages


def launch(
    model: str = "demo",
    entrance: Entrance = Entrance(),  # noqa: B008 (frozen)
    *,
    workspace: Path | str | None = None,
    panels_dir: Path | str | None = None,
    bench: Workbench | None = None,
    load_options: LoadOptions | None = None,
    chat: ChatSettings | None = None,
    open_browser: bool = False,
    prevent_thread_lock: bool = False,
    tell: Callable[[Link], None] | None = None,
) -> Page:
    """Serve the workbench. The page is up at once; the model loads behind it, as the model thread's first job.

    Args:
        model: Demo model, local folder or Hub id; none where empty, as runs that were kept need none.
        entrance: Where it is served, and who may come in.
        workspace: Folder of the workspace; by default the user's own.
        panels_dir: A folder of single-file panels.
        bench: A workbench that is already set up, instead of `workspace` and `panels_dir`.
        load_options: Device, precision and trust. Code that comes with a model runs for `model` alone, and only where
            they say so.
        chat: How the chat template is used; can be changed on the page.
        open_browser: Open the page in the browser, by its link.
        prevent_thread_lock: Return while the server runs, for tests and notebooks; `page.close()` ends it.
        tell: Called with the page's link once it is up.

    Raises:
        SteeringError: The port is taken, the workspace cannot be written, other machines would reach the page, or there
            is no address on the open net.
    """
    door = entrance.door()
    entrance = replace(entrance, port=free_port(entrance.host, entrance.port))
    bench = bench or Workbench(workspace=workspace, panels_dir=panels_dir)
    on_main = threading.current_thread() is threading.main_thread()
    if on_main and not prevent_thread_lock:  # this process serves nothing else, whose files would lie there as well
        keep_uploads_private()
    _admit(bench, entrance)
    if load_options and load_options.trust_remote_code:
        bench.trusted = model

    def start() -> Page:
        if model:
            bench.model.load(model, load_options, chat)
        page = _start(bench, entrance, door)
        if (door.token or bench.only_here) and entrance.behind is None:
            note_address(bench.workspace.folder, page.link, page.app_id)
        if tell:
            tell(page.link)
        if open_browser:
            webbrowser.open(str(page.link))
        return page

    page: Page = start() if prevent_thread_lock or not on_main else serve_until_ended(bench, start)
    return page


def _admit(bench: Workbench, entrance: Entrance) -> None:
    """Give those who may come in their workspaces, and say what they may load and read: anything where only this
    machine reaches the page, unless somebody says else.
    """
    if entrance.public is not None:
        bench.receive(entrance.public)
    elif entrance.accounts is not None:
        bench.receive_users()
    bench.only_here = entrance.names().only_here and bench.rooms is None
    models = entrance.allow_models
    if models is None:
        models = (ANY,) if bench.only_here else ()
    bench.visitors_load = frozenset(models)
    may_load = None if ANY in bench.visitors_load else bench.visitors_load | {*demo_models()}
    bench.confined_to = Confines(
        Path(get_upload_folder()),
        hub=bench.only_here,
        models=may_load,
        any_dictionary=bench.only_here,
        addresses=bench.only_here,
    )


def _start(bench: Workbench, entrance: Entrance, door: Door) -> Page:
    """Serve the page, with its link.

    Raises:
        SteeringError: There is no address on the open net, which was asked for.
    """
    for name, value in _GRADIO.items():
        os.environ.setdefault(name, value)
    run_first(FIRST)
    page = build(bench)
    page.queue(api_open=False, default_concurrency_limit=None, max_size=_WAITING)
    host, port = entrance.host, entrance.port
    page.launch(
        server_name=host,
        server_port=port,
        root_path=entrance.root_path.rstrip("/") or None,
        prevent_thread_lock=True,
        app_kwargs=guarded(bench, entrance.names(), port, door),
        state_session_capacity=SESSIONS,
        theme=WorkbenchTheme(),
        head=head(),
        favicon_path=resource("assets", "icon.svg"),
        max_file_size=f"{LARGEST_FILE}mb",
        allowed_paths=bench.downloads,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        inline=False,
        share=entrance.share,
        quiet=True,
        # Gradio would give a busy machine three seconds for its first page, and then ask for a public link. That the
        # server answers has been seen by then.
        _frontend=False,
    )
    page.link = Link(f"http://{f'[{host}]' if ':' in host else host}:{port}", door.token)
    if entrance.share and not page.share_url:
        page.close(verbose=False)
        raise SteeringError(
            "There is no address on the open net: Gradio's servers were not reached.",
            "a machine that reaches them and may fetch their program, as Gradio has just said.",
            "Leave share=True out, or reach the page through a tunnel of your own, such as ssh -L.",
        )
    return page


def _place_page(bench: Workbench, pages: gr.Blocks, places: Sequence[Place], here: Place | None) -> None:
    """One page: the frame that is the same on all, and a panel in it; the start page where `here` is None."""
    state = PageState()
    bar = place_model_bar(bench, state)
    signs_in = bench.rooms is not None and bench.rooms.last
    html_block(navigation(places, here, signs_in=signs_in), elem_classes="sw-nav", js_on_load=THEME_SCRIPT)
    panel, start, kept = None, None, None
    with gr.Row(elem_classes="sw-page"):
        with gr.Column(elem_classes="sw-body-column", min_width=0):
            if here is None:
                start = PanelContext(bench, state, "Start")
                place_start(places, start)
            elif here.problem is not None:
                html_block(error_card(here.problem))
            elif here.html:
                html_block(here.html, elem_classes="sw-card")
            elif here.panel is not None:
                panel = PanelContext(bench, state, here.panel.title, here.panel.id)
                kept = panel.runs.settings = Settings(here.panel.id, _place_panel(here.panel, panel, bench))
        with gr.Column(elem_classes="sw-shelf", min_width=0):
            shelf = place_shelf(bench, state)
            if here is not None and (said := public_said(bench)):  # which the start page says itself
                html_block(fold("public", "This page is public", said))
    contexts = [shelf, bar.context, *(each for each in (start, panel) if each)]
    with gr.Column(elem_classes="sw-strip"):
        for context in contexts:
            context.place_strip()
            context.wire_watches()
    place_opening(bench, state, contexts, kept, place_look(bench, state, bar.html), pages.load)


def _place_panel(panel: Panel, context: PanelContext, bench: Workbench) -> gr.Column:
    """Lay a panel out; gives what holds its controls."""
    notice, failure = context.notice, ""
    assert notice is not None
    notice.place(lambda: _notice(panel, bench))
    with gr.Column(elem_classes="sw-body") as body:
        try:
            if panel.build(context) is NotImplemented:
                build_form(panel, context)
        except Exception as error:  # a third party's layout must not take the page down
            _log.exception("panel %s failed to build", panel.id)
            body.visible = False
            failure = error_card(error, doing=f"laying out the panel {panel.title}")
    for part in parts_in(body):
        if isinstance(part, gr.DownloadButton):  # which the style hides while texts are to be left out
            part.elem_classes = [*(part.elem_classes or []), "sw-whole"]
    if failure:
        html_block(failure)
    context.error_slot()
    context.runs.wire_vectors()
    context.watch(
        "model", call=lambda visitor: {notice.html: notice.drawn(visitor)}, outputs=[notice.html], of_visitor=True
    )
    return body


def _notice(panel: Panel, bench: Workbench) -> str:
    """Why the panel is greyed out, "" where it works or nothing is loaded yet."""
    if bench.host is None:
        return ""
    try:
        reason = panel.needs(bench.host)
    except Exception as error:  # see _place_panel
        _log.exception("panel %s failed in needs()", panel.id)
        reason = f"The panel could not say whether it works on this model ({type(error).__name__}: {error})."
    return f'<p class="sw-needs">{escape(reason)}</p>' if reason else ""


def free_port(host: str, port: int) -> int:
    """`port` if nothing listens there, or any free one for 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SteeringError(
                f"The workbench cannot listen on {host}:{port}: {error.strerror or error}.",
                "an address of this machine and a free port.",
                f"End what runs there, or choose another port, such as --port {port + 1}.",
            ) from error
        return probe.getsockname()[1]
