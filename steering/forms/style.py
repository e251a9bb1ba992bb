"""The style of what a notebook shows: the look's colours, light and dark, for one wrapper and nothing outside it."""

from __future__ import annotations


WRAPPER = "swf"
"""Class of the element around every output; all rules are for what stands in it. They name it twice, since a notebook's
own rules for lists and tables name one class and come later."""
_LIGHT = (
    "--paper:#fff;--ground:#f7f7f5;--line:#e3e2dd;--ink:#1d2024;--ink2:#5b6068;--plain:#7a8794;--a:#0072b2;--b:#d55e00;"
    "--c:#009e73;--warn:#9c5d00;color-scheme:light"
)
_DARK = (
    "--paper:#1b1e23;--ground:#14161a;--line:#2c3037;--ink:#e8e9ea;--ink2:#a8adb5;--plain:#93a1af;--a:#56b4e9;"
    "--b:#ff8a3d;--c:#3ccf9f;--warn:#f2b84b;color-scheme:dark"
)
_DARK_PAGES = ("[data-jp-theme-light=false]", "html[theme=dark]", "[data-theme=dark]", ".dark", ".vscode-dark")
_LIGHT_PAGES = ("[data-jp-theme-light=true]", "html[theme=light]", "[data-theme=light]", ".vscode-light")
"""How JupyterLab, Colab, pages made of notebooks, marimo and VS Code say which of both they are. Where nobody does, the
reader's own choice holds."""
_CONTRAST = (".vscode-high-contrast", ".vscode-high-contrast-light")


def _on(pages: tuple[str, ...], values: str) -> str:
    return ",".join(f"{page} .{WRAPPER}" for page in pages) + f"{{{values}}}"


_RULES = """
.swf{background:var(--paper);color:var(--ink);border:1px solid var(--line);border-radius:8px;padding:12px 16px;
max-width:900px;font:14px/1.5 system-ui,"Segoe UI",sans-serif;overflow-wrap:break-word;text-align:left}
.swf.swf .swf{border:0;padding:0;margin:8px 0 0}
.swf.swf h3,.swf.swf h4{color:var(--ink);font:600 15px/1.4 system-ui,"Segoe UI",sans-serif;margin:0}
.swf.swf h4{font-size:13px;margin:14px 0 4px}
.swf.swf p{margin:4px 0}
.swf.swf .k{color:var(--ink2);font-weight:400;font-size:12px;margin-left:6px}
.swf.swf .s{color:var(--ink2);font-size:12px}
.swf.swf .w{border-left:3px solid var(--warn);padding-left:8px}
.swf.swf dl{display:grid;grid-template-columns:max-content 1fr;gap:1px 12px;margin:8px 0;font-size:13px}
.swf.swf dt,.swf.swf dd{float:none;width:auto;display:block;margin:0;padding:0;font-weight:400;color:var(--ink)}
.swf.swf dt{color:var(--ink2)}
.swf.swf ul{margin:4px 0;padding:0 0 0 18px;font-size:13px;list-style:disc}.swf.swf li{margin:0;color:var(--ink)}
.swf.swf .r{overflow-x:auto;margin:4px 0}
.swf.swf table{border-collapse:collapse;border:0;margin:0;font-size:12px;table-layout:auto;width:auto}
.swf.swf table tr,.swf.swf table tbody tr:nth-child(n){background:none;border:0}
.swf.swf table th,.swf.swf table td{border:0;border-bottom:1px solid var(--line);padding:3px 12px 3px 0;text-align:left;
vertical-align:top;color:var(--ink);font-weight:400;max-width:none;line-height:1.45}
.swf.swf table th{color:var(--ink2)}
.swf.swf table th.n,.swf.swf table td.n{text-align:right}
.swf.swf table td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
.swf.swf table td:not(.n){min-width:5em;max-width:34em}
.swf.swf table td.x{padding:6px 8px;min-width:120px}
.swf.swf svg{display:block;width:100%;max-width:720px;height:auto;color:var(--ink2);font-family:system-ui,sans-serif}
.swf.swf details{margin:6px 0}
.swf.swf summary{cursor:pointer;font-size:13px;color:var(--ink2)}
.swf.swf pre{white-space:pre-wrap;font-size:12px;margin:4px 0;background:var(--ground);color:var(--ink);padding:8px}
.swf.swf .cols{display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:12px;margin:8px 0}
.swf.swf .cols>div{border-top:3px solid var(--plain);padding-top:4px}
.swf.swf .cols>.a{border-color:var(--a)}.swf.swf .cols>.b{border-color:var(--b)}.swf.swf .cols>.c{border-color:var(--c)}
.swf.swf .t{font-size:14px;line-height:1.65;white-space:pre-wrap}
.swf.swf .t span{border-radius:3px}
"""
STYLE = (
    f".{WRAPPER}{{{_LIGHT}}}@media(prefers-color-scheme:dark){{.{WRAPPER}{{{_DARK}}}}}"
    + _on((*_DARK_PAGES, _CONTRAST[0]), _DARK)
    + _on((*_LIGHT_PAGES, _CONTRAST[1]), _LIGHT)
    + _RULES.replace("\n", "")
)
