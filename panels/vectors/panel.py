"""Vectors: from a contrast set to a steering vector, with what it separates at every block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from panels.vectors.comparison import VectorComparison, contrast_given
from panels.vectors.markup import about_vector, blocks_html, others_html, separation_caption, tokens_html
from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.extraction.reading import REPLY_TOKENS
from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import SITES
from steering.passes.activations import DEFAULT_TOKEN_BUDGET
from steering.passes.pooling import POOLINGS
from steering.studies import STUDIES
from steering.studies.extract import ExtractSettings, size_of
from steering.studies.figures import auroc_by_block, norms_by_block
from steering.studies.size import Size
from steering.studies.study import Result
from steering.texts.contrast import ContrastSet
from steering.texts.contrast_files import presets
from steering.texts.formats import TAKEN
from steering.texts.understanding import understand
from steering.vectors.card import nearest_tokens
from steering.vectors.vector import SteeringVector
from workbench.controls.estimate import place_estimate
from workbench.controls.file_preview import file_preview
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
_SITE_LABELS = {
    "block_input": "Block input",
    "attention_output": "Attention output",
    "mlp_output": "MLP output",
    "block_output": "Block output",
}
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
                contrast = _place_contrast(ui)
                options = _place_options(ui)
                with gr.Row(elem_classes="sw-actions"):
                    extract = gr.Button("Extract", variant="primary", elem_id="extract")
                    stop = gr.Button("Stop", interactive=False)
                    methods = gr.Button("Compare all methods", size="sm", elem_id="methods")
                _place_size(ui, {"contrast": contrast, **options})
            with gr.Column(elem_classes="sw-right", min_width=0, elem_id="vector-view"):
                ui.error_slot()
                _place_view(ui)
                comparison = VectorComparison(ui)

        def run(call: Call, **values: Any) -> Iterator[Outputs | None]:
            study = STUDIES[_STUDY]
            job = study.start(call.host, study.parse(contrast_given(values)))
            yield from call.finish(job)
            (vector,) = job.result().vectors.values()
            yield {ui.page.picked: call.workspace.put(vector)}

        def compare(call: Call, **values: Any) -> Iterator[Outputs | None]:
            yield from comparison.methods(call, contrast_given(values))

        shared = {"inputs": {"contrast": contrast, **options}, "run": [extract, methods], "stop": stop}
        ui.on(extract.click, run, outputs=[ui.page.picked], title="the extraction", **shared)
        ui.on(methods.click, compare, outputs=comparison.outputs, title="the comparison", **shared)
        ui.reveal(extract.click, "vector-view")
        ui.reveal(methods.click, "comparison", always=True)


def _place_contrast(ui: PanelContext) -> gr.Dropdown:
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

    def add(sent: str | None) -> dict[Any, Any]:
        path = chosen(sent)
        shown = _preview(path)
        return {contrast: gr.update(choices=[*names, (Path(path).name, path)], value=path), preview: shown}

    ui.quick(
        contrast.input, lambda source: {preview: _preview(source or "")}, inputs={"source": contrast}, outputs=[preview]
    )
    ui.quick(upload.upload, add, inputs={"sent": upload}, outputs=[contrast, preview])
    return contrast


def _place_options(ui: PanelContext) -> dict[str, Any]:
    with gr.Column(elem_classes="sw-card"):
        html_block(heading("How to read"))
        method = gr.Dropdown(
            [(kind.title, name) for name, kind in METHODS.items()],
            value=next(iter(METHODS)),
            label="Method",
            elem_id="method",
        )
        pooling = gr.Radio(
            [(label[0].upper() + label[1:], name) for name, label in POOLINGS.items()],
            value=next(iter(POOLINGS)),
            label="Token to read in each prompt",
            elem_classes="sw-stacked",
        )
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            positions = gr.Textbox(
                label="Or these positions, averaged",
                info="such as -1, or -3,-2,-1, or 4-7; below 0 from the end",
                max_lines=1,
                elem_id="positions",
            )
            site = gr.Radio(
                [(_SITE_LABELS[site], site) for site in SITES], value="block_output", label="Place in the block"
            )
            framing = _place_framing()
            name = gr.Textbox(label="Name", placeholder="the contrast set's", max_lines=1)
            with gr.Row():
                seed = gr.Number(
                    0, precision=0, minimum=0, label="Bootstrap seed", info="of the intervals", min_width=0
                )
                budget = gr.Number(
                    DEFAULT_TOKEN_BUDGET, precision=0, minimum=1, label="Tokens per batch", info="the most", min_width=0
                )
            halves = gr.Checkbox(True, label="Split-half cosine (three fits; long for LEACE on a wide model)")

    def offer_sites(chosen: str) -> dict[Any, Any]:
        offered = [each for each in SITES if not ui.host or each in ui.host.info.sites]
        choices = [(_SITE_LABELS[each], each) for each in offered]
        return {site: gr.update(choices=choices, value=chosen if chosen in offered else offered[-1])}

    ui.watch("model", call=offer_sites, inputs={"chosen": site}, outputs=[site])
    numbers = {"seed": seed, "token_budget": budget, "split_half": halves}
    return {
        "method": method,
        "pooling": pooling,
        "positions": positions,
        "site": site,
        **framing,
        "name": name,
        **numbers,
    }


def _place_framing() -> dict[str, Any]:
    """What stands around each prompt, and the model's own replies."""
    system = gr.Textbox(label="System prompt before every prompt", placeholder="none", lines=1, max_lines=4)
    opened = gr.Checkbox(True, label="The template opens the reply")
    tokens = gr.Number(
        REPLY_TOKENS,
        precision=0,
        minimum=1,
        maximum=512,
        label="The model's own replies",
        info="the most tokens, where a mean over the reply is read",
        min_width=0,
    )
    return {"system": system, "generation_prompt": opened, "reply_tokens": tokens}


def _place_size(ui: PanelContext, parts: dict[str, Any]) -> None:
    """How much is read, told from what it depends on."""
    counted = {name: parts[name] for name in ("contrast", "pooling", "positions", "reply_tokens")}

    def count(host: Host, **values: Any) -> Size:
        return size_of(host, STUDIES[_STUDY].parse(contrast_given(values)))  # type: ignore[arg-type]

    place_estimate(ui, count, counted, elem_id="extract-size")


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
            charts: gr.update(visible=not vector.provenance.elsewhere),
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
        job = call.host.submit(lambda job: nearest_tokens(call.host, entry.vector), title="Reading the unembedding")
        yield from call.finish(job)
        yield {nearest: tokens_html(entry.vector, job.result())}

    offers = [steer, sweep, tokens]
    shown = [empty, view, about, *offers, download, charts, separation, distance, blocks, others, nearest]
    picked = {"picked": ui.page.picked}
    ui.on(tokens.click, read, inputs=picked, outputs=[nearest], run=[tokens], title="reading the unembedding")
    ui.watch("picked", "model", call=show, inputs=picked, outputs=shown)
    for button, to in ((steer, "steer"), (sweep, "grid")):  # both take the vector that is picked
        ui.quick(button.click, lambda to=to: ui.going(to), outputs=[ui.page.go])


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
