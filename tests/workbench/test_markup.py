from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from test_workspace import vector

from panels.grid import markup as grid_markup
from panels.steer import replies
from panels.steer.replies import Columns
from steering.errors import SteeringError
from steering.numbers import about_seconds
from steering.passes.replies import Divergence, Reply, Written
from steering.recipes.recipe import Recipe
from steering.studies.grid import Cell, Grid, parse_axis
from steering.vectors.token_readings import TokenReading
from workbench.controls import panes, token_markup
from workbench.controls.token_strip import MOST_CHARACTERS, MOST_DRAWN, Strip
from workbench.frame.shelf_cards import sparkline, vector_card
from workbench.page import cards, markup


EVIL = "<script>alert('x')</script><img src=x onerror=\"y\">&amp;"
"""A text that would do harm as markup."""


class _Seen(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "img", "input", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def _reply(text: str, **fields: object) -> Reply:
    given = {"ids": (1, 2), "finish": "end", "written": Written(3, 2), **fields}
    return Reply(text=text, **given)  # type: ignore[arg-type]


def _reading(text: str, **fields: object) -> TokenReading:
    plain = {
        "divergence": 0.5,
        "change": -0.5,
        "projection": 2.0,
        "unsteered": 1.0,
        "alternatives": ((text, 0.25, 0.5),),
    }
    return TokenReading(token=text, piece=text, **{**plain, **fields})  # type: ignore[arg-type]


def _markup_of(shown: Sequence[panes.Pane]) -> str:
    """All that the page takes as markup; the rest it sets as text."""
    return "".join(f"<div>{each.before}</div><p>{each.now}</p>" for each in shown)


PAGES = {
    "heading": markup.heading(EVIL),
    "note": markup.note(EVIL),
    "empty state": markup.empty_state(EVIL, EVIL),
    "user's error": markup.error_card(SteeringError(EVIL, EVIL, EVIL)),
    "fault": markup.error_card(ValueError(EVIL), doing=EVIL),
    "table": markup.table((EVIL, EVIL), [(EVIL, EVIL)]),
    "message": panes.before_html([(EVIL, EVIL)], EVIL),
    "job line": markup.job_line(EVIL, EVIL, fraction=0.5, job_id=1) + markup.job_ended(EVIL, EVIL, job_id=1),
    "model bar": cards.model_bar(None, loading=EVIL) + cards.model_bar(None, error=SteeringError(EVIL)),
    "divergence": replies.divergence_html(
        Columns([_reply(""), _reply("", divergence=Divergence(EVIL, ((EVIL, 0.5, 0.5),)))]),
    ),
    "replies": _markup_of(replies.panes_of(Columns([_reply(EVIL), _reply(EVIL)], turns=[[(EVIL, EVIL)]] * 2))),
    "tokens": _markup_of(
        replies.panes_of(
            Columns([_reply(EVIL), _reply(EVIL)], readings=[[_reading(EVIL)]] * 2, vector=EVIL), colour="change"
        )
    ),
    "token": replies.token_html(Columns(readings=[[_reading(EVIL)]] * 2, vector=EVIL), 1, 0),
    "legend": replies.legend_html(Columns(readings=[[_reading(EVIL)]] * 2, vector=EVIL), "projection"),
    "recipe": replies.recipes_html({"a": Recipe(model=EVIL), "b": Recipe(model=EVIL)}),
}


def _grid(values: str = "prompt: Hi.\n" + EVIL) -> tuple[Grid, dict[tuple[int, int], Cell]]:
    grid = Grid(parse_axis(values), None, Recipe(model=EVIL), EVIL, EVIL)
    cell = Cell(1, 0, Recipe(), EVIL, EVIL, 2, "end", 3, 2, 0.5)
    return grid, {(1, 0): cell}


PAGES |= {
    "grid": grid_markup.grid_html(*_grid()),
    "cell": grid_markup.cell_html(_grid()[0], _grid()[1][1, 0]),
    "grid's file": grid_markup.grid_page(*_grid(), EVIL, EVIL),
}


@pytest.mark.parametrize("name", PAGES)
def test_no_text_becomes_markup_and_none_is_lost(name: str) -> None:
    seen = _Seen(PAGES[name])
    assert not {"script", "img"} & set(seen.tags)
    assert "alert('x')" in seen.text
    assert seen.open == []


def test_the_parser_of_these_tests_sees_markup_where_there_is_some() -> None:
    assert {"script"} & set(_Seen("<script>x</script>").tags)


def test_an_error_card_says_what_was_given_expected_and_to_do() -> None:
    card = _Seen(markup.error_card(SteeringError("A cat.", "a dog.", "Bring a dog.")))
    assert [part in card.text for part in ("A cat.", "Expected", "a dog.", "What to do", "Bring a dog.")] == [True] * 5
    short = _Seen(markup.error_card(SteeringError("A cat.")))
    assert "Expected" not in short.text


def test_a_fault_is_told_apart_from_a_mistake() -> None:
    card = _Seen(markup.error_card(KeyError("lost"), doing="the extraction"))
    assert "failed during the extraction" in card.text
    assert "KeyError" in card.text
    assert "report it" in card.text


def test_written_positions_carry_their_recipes_and_picked_ones_are_set_off() -> None:
    strip = Strip(
        ["<u>", "Hi", " you"],
        ["template", "user", "user"],
        {"a": [False, True, False], "b": [False, True, True]},
        ["b"],
        [2],
    ).plain
    assert strip["tokens"] == [
        [0, "<u>", "template", [], False],
        [1, "Hi", "user", ["a", "b"], False],
        [2, "you", "user", ["b"], True],
    ]
    assert (strip["roles"], strip["generated"], strip["picked"]) == (["template", "user"], ["b"], [2])
    assert strip["hidden"] == 0


def test_a_long_prompt_is_drawn_at_its_ends_only_and_a_long_token_cut() -> None:
    count = 25_000
    strip = Strip(["x" * 100_000] * count, ["user"] * count, {"a": [True] * count}, picked=[0, 12_000, count - 1]).plain
    assert len(strip["tokens"]) == MOST_DRAWN
    assert [strip["tokens"][n][0] for n in (0, strip["cut"] - 1, strip["cut"], -1)] == [
        0,
        MOST_DRAWN // 2 - 1,
        count - MOST_DRAWN // 2,
        count - 1,
    ]
    assert strip["hidden"] == count - MOST_DRAWN
    assert strip["picked"] == [0, count - 1]
    assert {len(text) for _, text, *_ in strip["tokens"]} == {MOST_CHARACTERS}


def test_the_message_that_is_answered_stands_above_the_reply_from_the_start() -> None:
    for shown in (Columns(asked=EVIL), Columns([_reply("Hi"), _reply("Hi")], asked=EVIL)):
        for each in replies.panes_of(shown, state="writing"):
            assert EVIL in _Seen(each.before).text
    long = _Seen(panes.before_html([], "word " * 20_000)).text
    assert len(long) < 2 * panes.LONGEST_SAID
    assert "98,000 more characters" in long


def test_a_projection_is_told_itself_beside_what_it_was_unsteered() -> None:
    readings = [_reading("a", projection=0.0004, unsteered=0.51), _reading("b", projection=-0.0004, unsteered=0.49)]
    columns = Columns([_reply("x"), _reply("x")], readings=[readings, readings], vector="joy", zero=1.25)
    plain, steered = (each.foot for each in replies.panes_of(columns))
    assert "Mean projection on joy 0.00 × mean difference, unsteered on the same text +0.50" in steered
    assert "unsteered" not in plain
    legend = _Seen(replies.legend_html(columns, "projection")).text
    assert "+1.25" in legend
    assert "below zero" in legend
    assert "below zero" not in _Seen(replies.legend_html(columns, "divergence")).text


def test_shades_are_relative_to_the_largest_and_next_to_nothing_stays_pale() -> None:
    much = [[_reading("a", change=4.0), _reading("b", change=-2.0)], [_reading("c", change=1.0)]]
    assert token_markup.shades(much, "change") == ([[1.0, -0.5], [0.25]], 4.0)
    little = [[_reading("a", divergence=0.1)]]
    assert token_markup.shades(little, "divergence") == ([[0.1]], 1.0)


def test_a_token_without_text_of_its_own_has_no_place_but_the_others_keep_their_number() -> None:
    readings = [_reading(" A"), _reading("<end>", divergence=0.0), _reading("b")]
    readings[1] = TokenReading("<end>", "", 0.0, 0.0, None, None, ())
    drawn = token_markup.reply_tokens(1, readings, [0.0, 0.0, 0.0])
    assert [drawn.count(f'data-token="{n}"') for n in range(3)] == [1, 0, 1]
    assert drawn.count('tabindex="0"') == 1
    assert ">A<" in drawn  # the reply begins without a space


def test_a_grid_says_what_is_done_and_what_is_not() -> None:
    grid, cells = _grid("seed: 0..2")
    drawn = grid_markup.grid_html(grid, cells)
    assert drawn.count("Not done") == 2
    assert "1 of 3 cells" in drawn
    assert grid_markup.grid_html(grid, cells, running=True).count("Waiting") == 2
    assert "<button" in drawn
    assert "<button" not in grid_markup.grid_page(grid, cells, "demo", "today")  # nothing there could answer


def test_a_column_of_another_conversation_is_not_compared() -> None:
    turns = [[("Hi", "Hello.")], [("Hi", "Good day.")]]
    same = replies.divergence_html(Columns([_reply("x"), _reply("x")]))
    other = replies.divergence_html(Columns([_reply("x"), _reply("x")], turns=turns))
    assert "the same so far" in same
    assert "Not compared" in other


def test_a_sparkline_puts_chance_on_the_base_line_and_breaks_at_gaps() -> None:
    assert sparkline([0.5, 1.0], width=100, height=26) == ["0.0,24.0 100.0,2.0"]
    assert len(sparkline([0.5, 0.6, float("nan"), 0.7, 0.8])) == 2


def test_a_card_says_what_a_vector_is_and_why_it_does_not_fit() -> None:
    fits, misfit = vector_card("joy", vector(), None), vector_card("joy", vector(), "made for another width")
    assert (fits["name"], fits["best"], fits["unfit"]) == ("joy", "0.90", None)  # the best AUROC of the three blocks
    unmeasured = vector_card("joy", replace(vector(), auroc=None, auroc_low=None, auroc_high=None), None)
    assert (unmeasured["best"], unmeasured["curve"]) == ("", []), "no sign that the shelf would have to explain"
    assert "× mean difference" in fits["facts"][-1]
    assert misfit["unfit"] == "made for another width"


@pytest.mark.parametrize(
    ("state", "finish", "foot", "caret"),
    [
        ("writing", None, "Modified 3 prompt + 2 generated positions", True),
        ("writing", "end", "the model ended its reply", False),
        ("stopped", None, "stopped", False),
        ("", "length", "the asked length was reached", False),
    ],
)
def test_panes_say_what_was_modified_and_how_it_ended(state: str, finish: str | None, foot: str, caret: bool) -> None:
    columns = Columns([_reply("a", written=Written()), _reply("b", finish=finish)])
    plain, steered = replies.panes_of(columns, state=state)
    assert foot in steered.foot
    assert ("sw-caret" in steered.now) == caret
    assert "Nothing was modified" in plain.foot


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (59.6, "60 s"), (480, "8 min"), (7020, "1.9 h"), (7200, "2 h")]
)
def test_a_rough_time_is_told_in_a_unit_that_suits_it(seconds: float, said: str) -> None:
    assert about_seconds(seconds) == said
