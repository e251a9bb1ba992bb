"""The glossary on the page: what its script needs to put a hint on every term, and a page of all terms."""

from __future__ import annotations

import json

from steering.glossary import Term, glossary, pattern
from workbench.page.markup import escape, heading, note


def terms_script() -> str:
    """The glossary as `assets/terms/terms.js` reads it."""
    terms = [
        {"id": each.id, **each.model_dump(include={"term", "means", "formula", "source"}), "forms": each.forms}
        for each in glossary()
    ]
    content = json.dumps({"pattern": pattern(), "terms": terms}, ensure_ascii=False).replace("</", "<\\/")
    return f"window.workbenchTerms = {content};"


def glossary_html() -> str:
    """Every term with what it means, its formula and where it is from."""
    said = "Every term of the pages and reports. One with a dotted line says it where it stands."
    return f'{heading("Glossary")}{note(said)}<dl class="sw-glossary">{"".join(map(_entry, glossary()))}</dl>'


def _entry(term: Term) -> str:
    formula = f"<dd><code>{escape(term.formula)}</code></dd>" if term.formula else ""
    source = f"<dd>{escape(term.source)}</dd>" if term.source else ""
    return f'<div id="term-{term.id}"><dt>{escape(term.term)}</dt><dd>{escape(term.means)}</dd>{formula}{source}</div>'
