"""How the page looks: a Gradio theme that hands its values over to the variables of `assets/style.css`."""

from __future__ import annotations

import gradio as gr
from gradio.themes import sizes

from steering.resources import resource
from workbench.page.terms import terms_script


GROUND, GROUND_DARK = "#f7f7f5", "#14161a"
"""The page's ground; literal here because Gradio paints it before any style sheet is there."""
_FONT = ("Inter", "IBM Plex Sans", "Segoe UI", "system-ui", "sans-serif")
_MONO = ("JetBrains Mono", "IBM Plex Mono", "ui-monospace", "monospace")

# Both modes read the same variable; the style sheet gives it a value for each.
_BOTH = {
    "body_text_color": "var(--ink)",
    "body_text_color_subdued": "var(--ink-2)",
    "background_fill_primary": "var(--paper)",
    "background_fill_secondary": "var(--ground)",
    "border_color_primary": "var(--line)",
    "border_color_accent": "var(--ink-3)",
    "border_color_accent_subdued": "var(--line)",
    "color_accent_soft": "var(--ground)",
    "link_text_color": "var(--a)",
    "link_text_color_hover": "var(--a)",
    "link_text_color_active": "var(--a)",
    "link_text_color_visited": "var(--a)",
    "block_background_fill": "transparent",
    "block_border_color": "var(--line)",
    "block_label_background_fill": "var(--paper)",
    "block_label_text_color": "var(--ink-2)",
    "block_title_text_color": "var(--ink-2)",
    "block_info_text_color": "var(--ink-3)",
    "panel_background_fill": "transparent",
    "panel_border_color": "var(--line)",
    "code_background_fill": "var(--ground)",
    "input_background_fill": "var(--ground)",
    "input_background_fill_focus": "var(--ground)",
    "input_background_fill_hover": "var(--ground)",
    "input_border_color": "var(--line)",
    "input_border_color_hover": "var(--ink-3)",
    "input_border_color_focus": "var(--a)",
    "input_placeholder_color": "var(--ink-3)",
    "checkbox_background_color": "var(--ground)",
    "checkbox_background_color_selected": "var(--ink)",
    "checkbox_border_color": "var(--ink-3)",
    "checkbox_border_color_selected": "var(--ink)",
    "checkbox_label_background_fill": "var(--ground)",
    "checkbox_label_background_fill_hover": "var(--ground)",
    "checkbox_label_background_fill_selected": "var(--ground)",
    "checkbox_label_border_color": "var(--line)",
    "checkbox_label_border_color_selected": "var(--ink)",
    "checkbox_label_text_color": "var(--ink)",
    "checkbox_label_text_color_selected": "var(--ink)",
    "slider_color": "var(--a)",
    "button_primary_background_fill": "var(--ink)",
    "button_primary_background_fill_hover": "var(--ink-strong)",
    "button_primary_border_color": "var(--ink)",
    "button_primary_text_color": "var(--paper)",
    "button_primary_text_color_hover": "var(--paper)",
    "button_secondary_background_fill": "transparent",
    "button_secondary_background_fill_hover": "var(--ground)",
    "button_secondary_border_color": "var(--line)",
    "button_secondary_border_color_hover": "var(--ink-3)",
    "button_secondary_text_color": "var(--ink)",
    "button_secondary_text_color_hover": "var(--ink)",
    "accordion_text_color": "var(--ink-2)",
    "table_even_background_fill": "transparent",
    "table_odd_background_fill": "transparent",
    "table_border_color": "var(--line)",
    "error_background_fill": "var(--paper)",
    "error_border_color": "var(--bad)",
    "error_text_color": "var(--bad)",
}
_ONCE = {
    "block_border_width": "0px",
    "block_padding": "0px",
    "block_shadow": "none",
    "block_label_text_size": "12px",
    "block_title_text_size": "12px",
    "block_title_text_weight": "400",
    "block_info_text_size": "12px",
    "layout_gap": "12px",
    "form_gap_width": "0px",
    "input_padding": "7px 10px",
    "input_radius": "6px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "input_text_size": "14px",
    "input_border_width": "1px",
    "checkbox_label_padding": "6px 10px",
    "checkbox_label_gap": "6px",
    "checkbox_label_text_size": "13px",
    "button_large_padding": "7px 16px",
    "button_large_text_size": "14px",
    "button_large_text_weight": "600",
    "button_large_radius": "6px",
    "button_small_padding": "4px 10px",
    "button_small_text_size": "12px",
    "button_small_radius": "6px",
    "button_border_width": "1px",
    "button_transition": "none",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "section_header_text_size": "13px",
    "section_header_text_weight": "600",
    "container_radius": "8px",
}


class WorkbenchTheme(gr.themes.Base):
    """Calm ground, thin lines, one dark button; system fonts, so that nothing is fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=gr.themes.colors.gray,
            secondary_hue=gr.themes.colors.gray,
            neutral_hue=gr.themes.colors.gray,
            text_size=sizes.text_md,
            spacing_size=sizes.spacing_md,
            radius_size=sizes.radius_md,
            font=tuple(gr.themes.Font(name) for name in _FONT),
            font_mono=tuple(gr.themes.Font(name) for name in _MONO),
        )
        values = {**_BOTH, **{f"{name}_dark": value for name, value in _BOTH.items()}, **_ONCE}
        super().set(body_background_fill=GROUND, body_background_fill_dark=GROUND_DARK, **values)


# Every panel has a line of its own in the job strip; of those that are over only the newest shows, and none of a model
# that is not in use any more.
_NEWEST_LINE = """
new MutationObserver(() => {
  const lines = [...document.querySelectorAll('.sw-strip .sw-over')];
  if (!lines.length) return;
  const newest = Math.max(...lines.map(line => +line.dataset.job));
  const model = document.querySelector('.sw-model-slot [data-model]')?.dataset.model;
  const old = line => +line.dataset.job < newest || +line.dataset.model < +model;
  lines.forEach(line => line.classList.toggle('sw-older', old(line)));
}).observe(document, {subtree: true, childList: true});
"""


# The theme that was chosen last, and no frame where a notebook embeds the page.
_AS_LAST = """
(() => {
  const query = new URLSearchParams(location.search), known = localStorage.getItem('sw-theme');
  if (query.has('bare')) document.documentElement.classList.add('sw-bare');
  if (query.has('__theme')) { localStorage.setItem('sw-theme', query.get('__theme')); return; }
  if (!['light', 'dark'].includes(known)) return;
  query.set('__theme', known);
  history.replaceState(history.state, '', location.pathname + '?' + query + location.hash);
})();
"""

# Gradio counts the seconds of a spinner in every frame, and goes on when the spinner of the opening page is long gone:
# sixty frames a second on a page that does nothing. Once a second will do, for none of these spinners is shown.
_COUNTED = """
(() => {
  const next = window.requestAnimationFrame.bind(window);
  const counts = call => call.length === 0 && /performance\\.now\\(\\).*\\/ *1e3/.test(call);
  window.requestAnimationFrame = call => counts(call) ? setTimeout(call, 1000) : next(call);
})();
"""

# At every step of every event Gradio copies the properties of all components that any event read, a thousand values one
# by one. What is no object is its own copy, which needs no serializer.
_COPIED = """
(() => {
  const copy = window.structuredClone.bind(window);
  const own = value => value === null || !['object', 'function', 'symbol'].includes(typeof value);
  window.structuredClone = (value, options) => own(value) ? value : copy(value, options);
})();
"""

# In a frame of another site's page, such as a notebook's, browsers may deny a page its storage, and reading it raises.
# Then what is kept there holds until the page is left.
_STORED = """
for (const name of ['localStorage', 'sessionStorage']) {
  try { window[name]; continue; } catch { /* denied */ }
  const kept = new Map();
  const storage = {
    getItem: key => kept.get(String(key)) ?? null,
    setItem: (key, value) => { kept.set(String(key), String(value)); },
    removeItem: key => { kept.delete(String(key)); },
    clear: () => kept.clear(),
    key: n => [...kept.keys()][n] ?? null,
    get length() { return kept.size; },
  };
  Object.defineProperty(window, name, {value: storage, configurable: true});
}
"""

FIRST = _STORED + _COUNTED + _COPIED + _AS_LAST
"""What must run before Gradio's own scripts, which keep `requestAnimationFrame`, read the address and store things."""

_PARTS = ("recipe", "tokens", "replies", "fields", "picture", "terms", "keys", "shelf", "runs")
_SHEETS = (("style.css",), *((name, f"{name}.css") for name in _PARTS))
_USED = (
    ("paste", "paste.js"),
    ("picture", "plot.js"),
    ("streamed", "streamed.js"),
    ("recipe", "shown.js"),
    ("recipe", "saved.js"),
    ("fields", "kinds.js"),
    ("shelf", "card.js"),
)
_SCRIPTS = (*_USED, *((name, f"{name}.js") for name in _PARTS))
"""Of controls that are a class over `gr.HTML`, which stand here once, however many a page has; of hints and keys."""


def head() -> str:
    """The style sheets and scripts for the page's `<head>`, where they stand before the page is drawn.

    Gradio's own `css` argument drops rules that it does not know how to scope (`@container`, `:has` in media queries).
    """
    sheets = "".join(f'<style data-of="steering-workbench">{_asset(*path)}</style>' for path in _SHEETS)
    scripts = [_NEWEST_LINE, terms_script(), *(_asset(*path) for path in _SCRIPTS)]
    return sheets + "".join(f"<script>{script}</script>" for script in scripts)


def _asset(*path: str) -> str:
    return resource("assets", *path).read_text(encoding="utf-8")
