"""One glossary: every term that pages and reports use has an entry, and every entry is used."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from steering.glossary import glossary, pattern, terms_in
from steering.training.losses import LOSSES
from tests.conftest import ROOT


ASKED = (
    *(
        "bypass",
        "induce",
        "COSMIC",
        "ESA",
        "PC",
        "CI",
        "CRC-TPC",
        "XBI",
        "CHI",
        "AQI",
        "nats",
        "AUROC",
        "KL",
        "log-odds",
    ),
    *("block", "site", "residual stream", "scope", "ablate", "clamp", "erase", "LEACE", "gate", "mean difference"),
    *("random floor", "Pareto", "effective strength", "degenerate", "CCS", "LDA", "PCA", "rotate", "affine", "recipe"),
    *("contrast set", "false refusal", "split-half", "perplexity", "kappa", "projection"),
)
"""Terms that must not be missing, whatever else is found."""
EVERYDAY = {
    *(
        "AI",
        "API",
        "CPU",
        "GPU",
        "CSV",
        "CUDA",
        "HTML",
        "HTTP",
        "HTTPS",
        "ID",
        "JSON",
        "JSONL",
        "JS",
        "MB",
        "GB",
        "MPS",
    ),
    *("OK", "PNG", "SVG", "URL", "UTF", "YAML", "UTC", "IBM", "UI", "ZIP"),
}
"""Short forms that need no explanation here, or name files and machines."""
NAMES = {"MMLU", "BBQ", "GGUF", "MLP", "MC"}
"""Names of benchmarks, files and parts."""
PLACES = {"FILE", "VALUE", "TEXT", "GOOD", "BAD", "BC", "ABC", "ABCD", "HERE", "BESIDE"}
"""What stands for something else: a file's name, columns, letters of recipes and answers."""
_ROOMS = (
    *("panels", "workbench/page", "workbench/controls", "workbench/frame", "steering/studies", "steering/extraction"),
    "steering/recipes",
)


def _texts(path: Path) -> Iterator[str]:
    """The texts of a module that are no documentation, parts of f-strings included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | set(_offered(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in said:
            continue
        is_script = re.search(r"^from \w|;$|\w = \w+[.(]", node.value, flags=re.MULTILINE)
        if node.value not in names and not is_script:
            yield node.value


def _offered(tree: ast.Module) -> Iterator[str]:
    """The names that a package gives on."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            yield from (name.name for name in node.names)


@cache
def shown() -> str:
    """All texts that pages and reports are made of."""
    modules = [path for room in _ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    texts = [text for module in modules for text in _texts(module)]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "assets").glob("*/*.html")]
    texts += [loss.title for loss in LOSSES.own.values()]  # which forms offer
    return "\n".join(texts)


@cache
def known() -> set[str]:
    return {form for term in glossary() for form in term.forms}


@pytest.mark.parametrize("term", ASKED)
def test_a_term_that_people_ask_about_has_an_entry(term: str) -> None:
    assert terms_in(f"What is {term}?"), term


def test_a_text_without_terms_has_none() -> None:
    assert terms_in("A sentence about pcs, cities and blockades, KLM and re-gated gates-to-be.") == ()


def test_every_short_form_on_a_page_is_explained() -> None:
    found = set(re.findall(r"(?<![\w#{./-])[A-Z]{2,6}(?:-[A-Z]{2,4})?(?![\w.(/])", shown()))
    assert {"KL", "AUROC", "ESA"} <= found  # short forms are found at all
    parts = {part for form in known() for part in (form, *form.split("-"))}
    assert found - parts - EVERYDAY - NAMES - PLACES == set()


def test_every_entry_is_used() -> None:
    used = {match.lower() for match in re.findall(pattern(), shown())}
    assert [term.term for term in glossary() if not any(form.lower() in used for form in term.forms)] == []


def test_entries_are_short_sentences_with_forms_of_their_own() -> None:
    forms = [form.lower() for term in glossary() for form in term.forms]
    assert len(forms) == len(set(forms))
    for term in glossary():
        assert term.means.endswith("."), term.term
        assert 1 <= len(re.findall(r"[.;](?:\s|$)", term.means)) <= 3, term.term
        assert len(term.means) < 260, term.term
        assert not term.page or (ROOT / "docs" / f"{term.page}.md").exists(), term.term


def test_the_documentation_is_made_of_the_same_data() -> None:
    spec = importlib.util.spec_from_file_location("glossary_page", ROOT / "docs" / "glossary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8") == module.page()
