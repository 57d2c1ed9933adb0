"""Peers that answer something else are found out."""

import base64
import copy
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from benchmarks.serving.agreement import disagreement


def _overlay(level: int, side: int = 4) -> str:
    buffer = BytesIO()
    Image.new("RGB", (side, side), (level, 0, 0)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _answer() -> dict[str, Any]:
    region = {"x": 1, "y": 2, "width": 3, "height": 4, "area_px": 9, "score": 0.9}
    heatmap = {"data": _overlay(100)}
    return {"result": "NG", "score": 0.8, "regions": [region], "heatmap": heatmap}


def test_disagreement_forgives_rounding() -> None:
    """The fourth decimal of a score and one level of a pixel are not held against a peer."""
    ours = _answer()
    theirs = copy.deepcopy(ours)
    theirs["score"] += 5e-5
    theirs["heatmap"]["data"] = _overlay(101)
    assert disagreement(ours, theirs) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("result",), "OK"),
        (("score",), 0.8003),
        (("regions",), []),
        (("regions", 0, "x"), 2),
        (("regions", 0, "score"), 0.95),
        (("heatmap", "data"), _overlay(104)),
        (("heatmap", "data"), _overlay(100, side=5)),
    ],
)
def test_disagreement_names_what_differs(path: tuple[Any, ...], value: object) -> None:
    """Another verdict, score, region or picture is a disagreement."""
    ours = _answer()
    theirs = copy.deepcopy(ours)
    place: Any = theirs
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert disagreement(ours, theirs)
