"""What the page draws of a figure."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from steering.figures.plain import plain
from steering.studies.figures import auroc_of_several
from steering.vectors.figures import auroc_by_block, norms_by_block
from steering.vectors.vector import Provenance, SteeringVector
from workbench.page.pictures import place_picture


@pytest.fixture(scope="module")
def vector() -> SteeringVector:
    auroc = torch.tensor([0.5, 0.9, 0.8])
    made: dict[str, Any] = {each.name: "" for each in fields(Provenance) if each.default is MISSING}
    return SteeringVector(
        name="</script><b>",
        directions=torch.eye(3, 4),
        mean_differences=torch.tensor([1.0, 2.0, 3.0]),
        residual_norms=torch.tensor([10.0, 10.0, 10.0]),
        auroc=auroc,
        auroc_low=auroc - 0.1,
        auroc_high=auroc + 0.1,
        site="block_output",
        default_block=1,
        default_block_reason="made up",
        suggested_strength=1.0,
        provenance=Provenance(**{**made, "method": "mean_difference"}),
    )


def test_every_figure_of_a_vector_is_drawn_whole(vector: SteeringVector) -> None:
    for figure in (auroc_by_block(vector), auroc_of_several({vector.name: vector}), norms_by_block(vector)):
        drawn = plain(figure)
        assert len(drawn["traces"]) == len(figure.data)
        for trace, before in zip(drawn["traces"], figure.data, strict=True):
            assert trace["y"] == pytest.approx(list(before.y))
        assert drawn["layout"]["height"] == figure.layout.height
        assert drawn["layout"]["xaxis"]["title"]["text"] == "block"
        assert json.loads(json.dumps(drawn, allow_nan=False)) == drawn


def test_numbers_that_are_none_become_gaps() -> None:
    figure = go.Figure().add_scatter(x=np.array([1, 2, 3]), y=[0.5, math.nan, math.inf], mode="lines")
    assert plain(figure)["traces"][0]["y"] == [0.5, None, None]
    assert plain(figure)["traces"][0]["x"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("figure", "named"),
    [
        (go.Figure().add_pie(values=[1, 2]), "pie"),
        (go.Figure().add_scatter(x=[1], y=[1], stackgroup="a"), "stackgroup"),
        (go.Figure().add_scatter(x=[1], y=[1], line={"shape": "spline"}), "line.shape"),
    ],
)
def test_what_would_not_be_drawn_is_refused(figure: go.Figure, named: str) -> None:
    with pytest.raises(ValueError, match=rf"{named}.*gr\.Plot"):
        plain(figure)


def test_a_picture_sends_its_caption_as_text_and_nothing_without_a_figure(vector: SteeringVector) -> None:
    picture = place_picture("one", title="A title", note="A note.")
    assert picture.postprocess(None) is None
    sent = picture.postprocess((norms_by_block(vector), "<b>caption</b>"))
    assert sent is not None
    assert (sent["title"], sent["note"], sent["caption"]) == ("A title", "A note.", "<b>caption</b>")
