"""Features as HTML: what anybody named is text, what is sorted by is there, and files say what they hold."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from panels.features.form import cause_settings, checked, find_settings, of_cause
from panels.features.markup import about_html, feature_html, table_html, texts_html
from panels.features.replies_markup import replies_html
from panels.features.view import FoundView, Shown, _recipe
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.studies.features.replies import COLUMNS
from steering.texts.contrast import ContrastSet
from tests.cross_layer_support import circuit
from tests.markup_support import HOSTILE
from workbench.controls.field import names
from workbench.controls.filled import WrongField
from workbench.page.answers import selected
from workbench.page.cleaning import clean


ROW: dict[str, Any] = {
    "feature": 12,
    "found_by": f"contrast {HOSTILE}",
    "label": HOSTILE,
    "promotes": f"' a' ' b' ' c' ' d' {HOSTILE}",
    "maximum": 3.5,
    "active": 0.25,
    "auroc": 0.96,
    "auroc_low": 0.9,
    "auroc_high": 1.0,
    "p": math.nan,
    "frequency_positive": 1.0,
    "frequency_negative": 0.25,
    "output_score": 0.5,
}


def _tables(text: str = f"…{HOSTILE}⟦{HOSTILE}⟧ after") -> dict[str, pd.DataFrame]:
    snippet = {"feature": 12, "activation": 3.1, "text": text, "token": "x", "role": "user", "side": HOSTILE}
    cells = [{"feature": 12, "token": HOSTILE, "of_maximum": 0.5, "token_number": 1, "activation": 1.0}]
    return {"snippets": pd.DataFrame([snippet]), "map": pd.DataFrame(cells)}


def test_names_labels_and_texts_are_text() -> None:
    tables = _tables()
    for markup in (
        table_html([ROW]),
        feature_html(ROW, tables, (HOSTILE, HOSTILE), (HOSTILE, "0123")),
        texts_html(12, tables),
    ):
        assert "alert" in markup  # it is there,
        assert "<script" not in markup  # and nothing of it is an element or an attribute
        assert "<img" not in markup
        assert 'onmouseover="x"' not in markup


def test_a_table_says_what_it_is_sorted_by_and_nothing_of_what_is_not_known() -> None:
    markup = table_html([ROW])
    assert 'data-value="0.96"' in markup
    assert "0.9 to 1" in markup
    assert '<td class="sw-n">–</td>' in markup  # p is not known, so it has no value to sort by
    assert markup.count("data-sort") == markup.count("<th") - markup.count("<thead")
    assert table_html([]) == ""


def test_two_sets_are_two_tables_and_what_is_alike_of_all_rows_is_left_out() -> None:
    one, other = (
        {**ROW, "feature": n, "set": name, "found_by": "contrast"} for n, name in enumerate(("harm", HOSTILE))
    )
    markup = table_html([one, other])
    assert markup.count("<table") == 2
    assert "Features of harm" in markup
    assert "<img" not in markup
    assert "found by" not in markup
    assert "found by" in table_html([one, {**one, "found_by": "vector"}])


def test_replies_stand_side_by_side_and_those_to_a_sets_own_texts_are_folded() -> None:
    own = [
        ("everyday", "", "none"),
        ("everyday", "harmful", "up"),
        ("harmful", "", "none"),
        ("harmful", "harmful", "off"),
    ]
    rows = [
        ("harm", group, f"asked {group}", of, "3, 4", done, f"{group} {of} {done} {HOSTILE}") for group, of, done in own
    ]
    markup = replies_html(pd.DataFrame(rows, columns=COLUMNS))
    assert markup.count("sw-pane ") == 4
    assert "Harmful features turned up" in markup
    assert "Harmful features switched off" in markup
    assert "<img" not in markup
    folded = markup[markup.index("<details") :]
    assert folded.count("sw-pane ") == 2
    assert "asked harmful" not in markup[: markup.index("<details")]
    assert 'data-pick="harm, harmful">Steer with the 2 harmful features' in markup
    assert clean(markup).count("sw-pane ") == 4
    assert "data-pick" in clean(markup)
    assert replies_html(None) == replies_html(pd.DataFrame(columns=COLUMNS)) == ""


def test_a_kept_page_keeps_the_table_and_the_marked_token() -> None:
    for markup, there in ((table_html([ROW]), 'data-pick="12"'), (texts_html(12, _tables("a⟦b⟧c")), "<mark>b</mark>")):
        assert there in markup
        assert there in clean(markup)


def test_a_feature_says_how_it_fires_on_both_sides_and_goes_on_the_shelf_only_as_a_vector() -> None:
    markup = feature_html(ROW, _tables(), ("harmful", "harmless"), ("demo 12", "0123"))
    assert 'aria-label="harmful: 100 %"' in markup
    assert 'aria-label="harmless: 25 %"' in markup
    assert 'data-shelve="demo 12"' in markup
    assert "data-shelve" not in feature_html(ROW, _tables(), ("harmful", "harmless"), ("", ""))
    assert "active on none" in texts_html(13, _tables())


def test_files_say_what_they_hold() -> None:
    markup = about_html(load_dictionary("demo/block-3-sae"), ["<b>note</b>"])
    assert "1,024 features" in markup
    assert "block 3, block output" in markup
    assert "&lt;b&gt;note" in markup


def test_a_dictionary_that_is_read_only_says_so_before_and_after_a_run(tmp_path: Path) -> None:
    circuit(tmp_path)
    path = str(tmp_path / "W_enc_1.safetensors")
    markup = about_html(load_dictionary(path), ())
    assert "A cross-layer transcoder is read only here: each" in markup
    assert "Cause and Steer take none of its features" in markup
    assert "block 1, block input plus attention output" in markup
    result = SimpleNamespace(settings={}, tables={}, vectors={}, notes=("found", "It is read only here: because."))
    found = Shown(result, "run", {})  # type: ignore[arg-type]
    with pytest.raises(SteeringError, match=r"nothing to steer with\. It is read only here: because"):
        FoundView._sent(SimpleNamespace(), selected("3", "feature_off"), found)  # type: ignore[arg-type]
    assert Shown(SimpleNamespace(notes=("found",)), "run", {}).read_only == ""  # type: ignore[arg-type]


def _values(**given: Any) -> dict[str, Any]:
    from panels.features.form import sections
    from steering.studies.features.settings import FeaturesSettings

    placed = [each.completed("features", FeaturesSettings) for each in sections(here=True)]
    return {name: field.default for name, field in names(placed).items()} | given


def test_the_form_gives_every_study_its_settings() -> None:
    found = find_settings(_values(features="12, 700"), "/shelf")
    assert found.features == (12, 700)
    assert (found.contrast, found.also) == ("harm", "formality")
    cause = cause_settings(_values(chosen="3, 5", n_test=7))
    assert (cause.features, cause.n_test, cause.dictionary) == ((3, 5), 7, "demo/block-3-sae")
    assert of_cause(cause)["chosen"] == "3, 5"
    assert cause_settings(_values(**of_cause(cause))) == cause


def test_a_wrong_number_names_its_field() -> None:
    with pytest.raises(SteeringError):
        checked(_values(features="twelve"))
    with pytest.raises(WrongField) as wrong:
        checked(_values(chosen="-4"))
    assert wrong.value.field == "chosen"


def test_features_that_were_changed_together_are_sent_together() -> None:
    read = {"set": "harm", "group": "everyday", "prompt": "Bake bread?", "text": "No."}
    plain, up = (
        {**read, "features_of": of, "features": own, "done": "up"} for of, own in (("", ""), ("harmful", "3, 4"))
    )
    features = {f"v{n}": SimpleNamespace(name=f"v{n}", feature=SimpleNamespace(index=n)) for n in (3, 4)}
    rows = pd.DataFrame(
        [{"feature": 3, "set": "harm", "difference": 1.0}, {"feature": 9, "set": "harm", "difference": -1.0}]
    )
    result = SimpleNamespace(
        settings={"contrast": "harm", "replies_up": 0.25},
        tables={"features": rows, "replies": pd.DataFrame([plain, up])},
        vectors=features,
    )
    found = Shown.of(result, "run")  # type: ignore[arg-type]
    assert [each.name for each in found.chosen("harm, harmful")] == ["v3", "v4"]
    assert [each.name for each in found.chosen("3")] == ["v3"]
    assert found.chosen("9") == found.chosen("harm, harmless") == ()
    assert (found.strength("harm, harmful"), found.strength("3")) == (0.25, 1.0)
    harm = ContrastSet.load("harm")
    assert found.prompt("harm, harmful", own=True) == found.prompt("3", own=True) == harm.positive[0].text
    assert found.prompt("9", own=True) == harm.negative[0].text
    assert found.prompt("harm, harmful", own=False) == found.prompt("9", own=False) == "Bake bread?"
    together = _recipe(["v3", "v4"], "feature_off", 0.25).interventions
    assert [(each.vector, each.others, each.mode) for each in together] == [("v3", ("v4",), "feature_off")]
    added = _recipe(["v3", "v4"], "add", 0.25).interventions
    assert [(each.vector, each.strength) for each in added] == [("v3", 0.25), ("v4", 0.25)]


def test_a_page_that_others_reach_takes_no_dictionary_of_theirs_and_says_so() -> None:
    from panels.features.form import dictionaries, sections

    own, public = (names(sections(here=here))["dictionary"] for here in (True, False))
    assert own.upload
    assert not public.upload
    assert "only its own machine reaches" in public.hint
    listed = [value for _, value, *_ in dictionaries("openai-community/gpt2", demo=False, here=True)]
    assert "gpt2-small-res-jb/blocks.8.hook_resid_pre" in listed
    assert not any(each.startswith("demo/") for each in listed)
    for_all = [value for _, value, *_ in dictionaries("openai-community/gpt2", demo=False, here=False)]
    assert not any("gpt2" in each for each in for_all)
