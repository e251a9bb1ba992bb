"""The pages: a start page and one for every panel, each in the same frame; and the server that shows them."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from steering.confines import Confines
from steering.errors import SteeringError
from steering.loading.loader import demo_models
from steering.loading.options import LoadOptions
from steering.model.chat_settings import ChatSettings
from steering.resources import resource
from workbench.bench import ANY, Workbench
from workbench.controls.default_form import build_form
from workbench.frame.look import place_look
from workbench.frame.modelbar import place_model_bar
from workbench.frame.navigation import THEME_SCRIPT, Place, navigation, places_of
from workbench.frame.opening import place_opening
from workbench.frame.serving import SESSIONS, guarded, keep_uploads_private, note_address, serve_until_ended
from workbench.frame.shelf import place_shelf
from workbench.frame.start import place_start
from workbench.host_names import Names
from workbench.page.blocks import html_block, run_first
from workbench.page.cards import NAME
from workbench.page.context import PanelContext
from workbench.page.inputs import Page
from workbench.page.markup import error_card, escape
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


def build(bench: Workbench) -> gr.Blocks:
    """Lay out the workbench: a start page, and a page of its own for every panel, which costs the others nothing."""
    places = places_of(bench.catalogue)
    with Page(title=NAME, analytics_enabled=False, fill_width=True) as pages:
        _place_page(bench, pages, places, None)
    for place in places:
        with pages.route(place.title, place.path, show_in_navbar=False):
            _place_page(bench, pages, places, place)
    return pages


def launch(
    model: str = "demo",
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    workspace: Path | str | None = None,
    panels_dir: Path | str | None = None,
    bench: Workbench | None = None,
    load_options: LoadOptions | None = None,
    allow_hosts: Sequence[str] = (),
    allow_models: Sequence[str] | None = None,
    chat: ChatSettings | None = None,
    root_path: str = "",
    open_browser: bool = False,
    prevent_thread_lock: bool = False,
    tell: Callable[[str], None] | None = None,
) -> gr.Blocks:
    """Serve the workbench. The page is up at once; the model loads behind it, as the model thread's first job.

    Args:
        model: Demo model, local folder or Hub id; none where empty, as runs that were kept need none.
        host: Address to listen on; "0.0.0.0" for every interface.
        port: Port to listen on; 0 for any free one.
        workspace: Folder of the workspace; by default the user's own.
        panels_dir: A folder of single-file panels.
        bench: A workbench that is already set up, instead of `workspace` and `panels_dir`.
        load_options: Device, precision and trust. Code that comes with a model runs for `model` alone, and only where
            they say so.
        allow_hosts: Names under which a proxy in front is asked for the page.
        allow_models: Models that visitors may load instead; "any" for any. By default any on a page that only this
            machine reaches, and none on one that others reach.
        chat: How the chat template is used; can be changed on the page.
        root_path: The path below which a proxy in front shows the page and which it leaves out when it asks here, such
            as "/workbench"; or the whole address where it does not tell under which name it was asked.
        open_browser: Open the page in the browser.
        prevent_thread_lock: Return while the server runs, for tests and notebooks; `page.close()` ends it.
        tell: Called with the page's address once it is up.

    Raises:
        SteeringError: The port is taken, or the workspace cannot be written.
    """
    port = _free_port(host, port)
    bench = bench or Workbench(workspace=workspace, panels_dir=panels_dir)
    names = Names.of(host, allow_hosts)
    on_main = threading.current_thread() is threading.main_thread()
    if on_main and not prevent_thread_lock:  # this process serves nothing else, whose files would lie there as well
        keep_uploads_private()
    _confine(bench, names, allow_models)
    if load_options and load_options.trust_remote_code:
        bench.trusted = model

    def start() -> gr.Blocks:
        page = _start(bench, model, (load_options, chat), names, host, port, open_browser, root_path)
        at = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        if names.only_here:
            note_address(bench.workspace.folder, at, page.app_id)
        if tell:
            tell(at)
        return page

    page: gr.Blocks = start() if prevent_thread_lock or not on_main else serve_until_ended(bench, start)
    return page


def _confine(bench: Workbench, names: Names, allow_models: Sequence[str] | None) -> None:
    """What visitors may load and read: anything where only this machine reaches the page, unless somebody says else."""
    if allow_models is None:
        allow_models = (ANY,) if names.only_here else ()
    bench.only_here = names.only_here
    bench.visitors_load = frozenset(allow_models)
    may_load = None if ANY in bench.visitors_load else bench.visitors_load | {*demo_models()}
    bench.confines = Confines(
        Path(get_upload_folder()),
        hub=names.only_here,
        models=may_load,
        library=bench.workspace.uploads.files,
        addresses=names.only_here,
    )


def _start(
    bench: Workbench,
    model: str,
    options: tuple[LoadOptions | None, ChatSettings | None],
    names: Names,
    host: str,
    port: int,
    open_browser: bool,
    root_path: str,
) -> gr.Blocks:
    if model:
        bench.model.load(model, *options)
    for name, value in _GRADIO.items():
        os.environ.setdefault(name, value)
    run_first(FIRST)
    page = build(bench)
    page.queue(api_open=False, default_concurrency_limit=None)
    page.launch(
        server_name=host,
        server_port=port,
        root_path=root_path.rstrip("/") or None,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        app_kwargs=guarded(bench, names, port),
        state_session_capacity=SESSIONS,
        theme=WorkbenchTheme(),
        head=head(),
        favicon_path=resource("assets", "icon.svg"),
        max_file_size=f"{LARGEST_FILE}mb",
        allowed_paths=[str(bench.workspace.shelf), str(bench.workspace.exports)],  # for downloads
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        share=False,
        quiet=True,
    )
    return page


def _place_page(bench: Workbench, pages: gr.Blocks, places: Sequence[Place], here: Place | None) -> None:
    """One page: the frame that is the same on all, and a panel in it; the start page where `here` is None."""
    state = PageState()
    bar = place_model_bar(bench, state)
    html_block(navigation(places, here), elem_classes="sw-nav", js_on_load=THEME_SCRIPT)
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


def _free_port(host: str, port: int) -> int:
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
