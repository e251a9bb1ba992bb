"""Vectors: from a contrast set to a steering vector, with what it separates at every block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from panels.vectors.comparison import VectorComparison, contrast_given
from panels.vectors.markup import about_vector, blocks_html, others_html, separation_caption, tokens_html
from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import SITES, Site
from steering.names import upper_first
from steering.passes.pooling import POOLINGS
from steering.studies import STUDIES
from steering.studies.extract import ExtractSettings, size_of
from steering.studies.size import Size
from steering.studies.study import Result
from steering.texts.contrast import ContrastSet
from steering.texts.contrast_files import presets
from steering.texts.formats import TAKEN
from steering.texts.understanding import understand
from steering.vectors.card import nearest_tokens
from steering.vectors.figures import auroc_by_block, norms_by_block
from steering.vectors.vector import SteeringVector
from workbench.controls.estimate import place_estimate
from workbench.controls.field import Choice, choice, lines, more, number, section, switch, text
from workbench.controls.fields import Fields, Filled, place_fields
from workbench.controls.file_preview import file_preview
from workbench.controls.form_uploads import offer
from workbench.controls.upload_field import chosen
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs
from workbench.page.markup import empty_state, heading, note
from workbench.page.pictures import place_picture
from workbench.panel import Panel
from workbench.workspace import Entry


_FIRST = "formality"
_STUDY = "extract"
_SIZED = ("pooling", "positions", "reply_tokens")
"""Fields on which it depends how much is read."""
_OWN_REPLIES = "the most of one, where a mean over the reply is read"
_EMPTY = empty_state(
    "No vector yet",
    "A contrast set holds prompts of two kinds. Extract reads the model's states on both and finds, in every block, "
    "the direction that tells them apart. The result goes on the shelf, ready to steer with.",
)
_BAR = "Bar: distance between the two sides' means along the direction, as a share of the states' mean norm."
_CHARTS = (
    "How well each block tells the two sides apart",
    "How far apart the two sides lie in each block",
)


class VectorsPanel(Panel):
    """Extraction and the view of one vector."""

    id = "vectors"
    title = "Vectors"
    summary = "Extract a steering vector from a contrast set and see how well it separates, block by block."
    order = 10
    settings = ExtractSettings

    def run(self, host: Host, settings: ExtractSettings, job: Job[Result]) -> Result:
        """The study "extract"."""
        return STUDIES[_STUDY].run(host, settings, job)

    def build(self, ui: PanelContext) -> None:
        """Left: what to extract and how. Right: the vector that was extracted last, or picked on the shelf."""
        with gr.Row(elem_classes="sw-columns"):
            with gr.Column(elem_classes="sw-left", min_width=0):
                contrast = place_contrast(ui)
                form = place_form(ui)
                with gr.Row(elem_classes="sw-actions"):
                    extract = gr.Button("Extract", variant="primary", elem_id="extract")
                    stop = gr.Button("Stop", interactive=False)
                    methods = gr.Button("Compare all methods", size="sm", elem_id="methods")
                    _place_size(ui, contrast, form)
            with gr.Column(elem_classes="sw-right", min_width=0, elem_id="vector-view"):
                ui.error_slot()
                _place_view(ui)
                comparison = VectorComparison(ui)

        ui.receive(lambda given: _settings_shown(given, contrast, form), [contrast, form], ExtractSettings)

        def run(call: Call, contrast: str | None, form: Filled) -> Iterator[Outputs | None]:
            study = STUDIES[_STUDY]
            settings = study.parse(contrast_given({**form.values(), "contrast": contrast}))
            call.begins(_STUDY, f"Extraction: {Path(contrast or '').stem}", settings)
            job = study.start(call.host, settings)
            yield from call.finish(job)
            call.ends(job.result())
            (vector,) = job.result().vectors.values()
            yield {ui.page.picked: call.workspace.put(vector)}

        def compare(call: Call, contrast: str | None, form: Filled) -> Iterator[Outputs | None]:
            yield from comparison.methods(call, contrast_given({**form.values(), "contrast": contrast}))

        shared = {"inputs": {"contrast": contrast, "form": form}, "run": [extract, methods], "stop": stop}
        ui.on(extract.click, run, outputs=[ui.page.picked], title="the extraction", **shared)
        ui.on(methods.click, compare, outputs=comparison.outputs, again=methods, title="the comparison", **shared)
        ui.reveal(extract.click, "vector-view")
        ui.reveal(methods.click, "comparison", always=True)


def _settings_shown(given: ExtractSettings, contrast: gr.Dropdown, form: Fields) -> Outputs:
    """What the form does not hold by the settings' own names: the set, and positions that are read."""
    several = isinstance(given.pooling, tuple)
    positions = {"positions": ", ".join(map(str, given.pooling)) if several else ""}
    return {form: positions, **({contrast: given.contrast} if given.contrast in presets() else {})}


def place_contrast(ui: PanelContext) -> gr.Dropdown:
    """The choice of a contrast set, shipped or uploaded, and what it was read as."""
    with gr.Column(elem_classes="sw-card"):
        html_block(heading("Contrast set"))
        names = list(presets())
        first = _FIRST if _FIRST in names else next(iter(names), None)
        contrast = gr.Dropdown(names, value=first, label="Prompts of two kinds to tell apart", elem_id="contrast")
        preview = html_block(_preview(first) if first else "")
        upload = gr.UploadButton(
            "Upload a contrast set",
            size="sm",
            file_types=list(TAKEN),
            elem_id="contrast-upload",
        )

    def offers(visitor: str) -> list[str | tuple[str, str]]:
        """The shipped sets, and what was uploaded before."""
        known = ui.workspace.uploads.find(ui.bench.owner(visitor), "contrast")
        return [*names, *(offer(each, "contrast")[:2] for each in known)]

    def follow(source: str | None, visitor: str) -> dict[Any, Any]:
        """Offer what there is; an upload that was removed makes room for the first shipped set, and that is said."""
        known = offers(visitor)
        if source is None or source in [each if isinstance(each, str) else each[1] for each in known]:
            return {contrast: gr.update(choices=known)}
        gone = note("The set that was chosen here is not among the uploads any more.")
        return {contrast: gr.update(choices=known, value=first), preview: gone + (_preview(first) if first else "")}

    def add(sent: str | None, visitor: str) -> dict[Any, Any]:
        path = chosen(sent)
        found = understand(path, "contrast")
        owner = ui.bench.owner(visitor) or ""
        kept = ui.workspace.uploads.add(Path(path), "contrast", found.rows, owner=owner)
        return {contrast: gr.update(choices=offers(visitor), value=kept.source), preview: file_preview(found)}

    ui.quick(
        contrast.input, lambda source: {preview: _preview(source or "")}, inputs={"source": contrast}, outputs=[preview]
    )
    ui.quick(upload.upload, add, inputs={"sent": upload}, outputs=[contrast, preview], of_visitor=True)
    ui.watch("shelf", call=follow, inputs={"source": contrast}, outputs=[contrast, preview], of_visitor=True)
    return contrast


def place_form(ui: PanelContext) -> Fields:
    """How the prompts are read, and what the vector is called."""
    reading = section(
        "How to read",
        choice("method", "Method", [(kind.title, name) for name, kind in METHODS.items()], id="method"),
        choice(
            "pooling", "Token to read in each prompt", [(upper_first(said), name) for name, said in POOLINGS.items()]
        ),
        text("name", "Name of the vector", placeholder="the contrast set's"),
        more(
            text(
                "positions",
                "Or these positions, averaged",
                "",
                id="positions",
                hint="such as -1, or -3,-2,-1, or 4-7; below 0 from the end",
            ),
            choice("site", "Place in the block", _sites(SITES), changing=True),
            lines("system", "System prompt before every prompt", placeholder="none"),
            switch("generation_prompt", "The template opens the reply"),
            number("reply_tokens", "The model's own replies", unit="tokens", hint=_OWN_REPLIES, low=1, high=512),
            number("seed", "Bootstrap seed", hint="of the intervals"),
            number("token_budget", "Tokens per batch", unit="at most"),
            switch("split_half", "Split-half cosine", hint="three fits; long for LEACE on a wide model"),
        ),
    )
    form = place_fields(ui, "vectors", [reading], settings=ExtractSettings)

    def offer_sites(given: Filled) -> Outputs:
        offered = [each for each in SITES if not ui.host or each in ui.host.info.sites]
        site = given.ready["site"]
        chosen = {} if site in offered else {"site": offered[-1]}
        return {form: form.offering({"site": _sites(offered)}, chosen)}

    ui.watch("model", call=offer_sites, inputs={"given": form}, outputs=[form])
    return form


def _sites(offered: Sequence[Site]) -> list[Choice]:
    return [(upper_first(site.replace("_", " ")), site) for site in offered]


def reading_size(host: Host, contrast: str | None, form: Filled) -> Size:
    """How much Extract reads.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    values = form.values()
    given = {name: values[name] for name in _SIZED}
    return size_of(host, STUDIES[_STUDY].parse(contrast_given({**given, "contrast": contrast})))  # type: ignore[arg-type]


def _place_size(ui: PanelContext, contrast: gr.Dropdown, form: Fields) -> None:
    """How much is read, told from what it depends on."""
    place_estimate(ui, reading_size, {"contrast": contrast, "form": form}, elem_id="extract-size")


def _place_view(ui: PanelContext) -> None:
    with gr.Column(elem_classes="sw-card") as empty:
        html_block(_EMPTY)
    with gr.Column(visible=False, elem_classes="sw-stack", min_width=0) as view:
        with gr.Column(elem_classes="sw-card"):
            about = html_block("")
            with gr.Row(elem_classes="sw-actions"):
                steer = gr.Button("Steer with it", elem_id="steer-with-it")
                sweep = gr.Button("Sweep it in Grid", elem_id="sweep-it")
                tokens = gr.Button("Nearest tokens", elem_id="tokens")
                download = gr.DownloadButton("Download", elem_id="download")
            nearest = html_block("", elem_id="nearest")
        with gr.Row(elem_classes="sw-two") as charts:
            separation = place_picture("auroc-plot", title=_CHARTS[0], card=True)
            distance = place_picture("norm-plot", title=_CHARTS[1], note=_BAR, card=True)
        with gr.Column(elem_classes="sw-card"):
            blocks = html_block("")
            others = html_block("")

    def show(picked: str | None) -> dict[Any, Any]:
        entry = _kept(ui, picked)
        if entry is None:
            return {empty: gr.update(visible=True), view: gr.update(visible=False)}
        vector = entry.vector
        unfit = vector.misfit(ui.host) if ui.host else None
        offered = gr.update(interactive=not unfit)
        return {
            empty: gr.update(visible=False),
            view: gr.update(visible=True),
            about: about_vector(vector) + (note(unfit) if unfit else ""),
            **dict.fromkeys(offers, offered),
            download: gr.update(value=str(entry.path)),
            charts: gr.update(visible=not (vector.provenance.elsewhere or vector.provenance.trained)),
            separation: (auroc_by_block(vector), separation_caption(vector)) if vector.auroc is not None else None,
            distance: norms_by_block(vector),
            blocks: blocks_html(vector),
            others: others_html(vector, _shelf(ui)),
            nearest: "",
        }

    def read(call: Call, picked: str | None) -> Iterator[Outputs | None]:
        entry = _kept(ui, picked)
        if entry is None:
            return
        host, vector = call.host, entry.vector
        job = host.submit(lambda job: nearest_tokens(host, vector), title="Reading the unembedding")
        yield from call.finish(job)
        yield {nearest: tokens_html(entry.vector, job.result())}

    offers = [steer, sweep, tokens]
    shown = [empty, view, about, *offers, download, charts, separation, distance, blocks, others, nearest]
    picked = {"picked": ui.page.picked}
    ui.on(tokens.click, read, inputs=picked, outputs=[nearest], run=[tokens], title="reading the unembedding")
    ui.watch("picked", "model", call=show, inputs=picked, outputs=shown)
    for button, to in ((steer, "steer"), (sweep, "grid")):  # both take the vector that is picked
        ui.quick(button.click, lambda to=to: {ui.page.go: f"./{to}"}, outputs=[ui.page.go])


def _kept(ui: PanelContext, name: str | None) -> Entry | None:
    try:
        return ui.workspace.get(name) if name else None
    except SteeringError:  # removed meanwhile
        return None


def _shelf(ui: PanelContext) -> list[SteeringVector]:
    return [ui.workspace.get(name).vector for name in ui.workspace.names()]


def _preview(source: str) -> str:
    about = note(ContrastSet.load(source).description) if source in presets() else ""
    return about + file_preview(understand(source, "contrast"))


panel = VectorsPanel()
