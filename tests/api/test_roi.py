"""A part of the picture: it alone is inspected, and answered in the sent picture's pixels."""

import pytest

from tests.conftest import Service
from tests.fakes import encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
Query = dict[str, str | int | float]


def _spotted() -> bytes:
    """Dark, with a bright square of 40 px at (200, 100)."""
    image = grey(0, width=400, height=200)
    image[100:140, 200:240] = 255
    return encode(image)


async def test_roi_alone_is_inspected_and_answered_in_the_images_pixels(service: Service) -> None:
    """The spot fills a quarter of the box around it; the region lies where it lies in the sent image."""
    query: Query = {"roi": "180,80,80,80", "threshold": 0.2, "heatmap": "map"}
    found = (await service.client.post(URL, params=query, content=_spotted())).json()
    assert abs(found["score"] - 0.25) < 0.01
    (region,) = found["regions"]
    assert abs(region["x"] - 200) <= 5
    assert abs(region["y"] - 100) <= 5
    assert abs(region["width"] - 40) <= 10
    assert (found["heatmap"]["width"], found["heatmap"]["height"]) == (400, 200)


async def test_a_roi_without_the_spot_is_fine(service: Service) -> None:
    """What lies outside does not count."""
    query: Query = {"roi": "0,0,150,200", "threshold": 0.01}
    found = (await service.client.post(URL, params=query, content=_spotted())).json()
    assert (found["result"], found["score"]) == ("OK", 0.0)


async def test_a_roi_may_reach_to_the_edges(service: Service) -> None:
    """The whole image as a box is the whole image; its last pixel is a box too."""
    whole = (await service.client.post(URL, content=_spotted())).json()
    for roi, score in (("0,0,400,200", whole["score"]), ("399,199,1,1", 0.0)):
        answer = await service.client.post(URL, params={"roi": roi}, content=_spotted())
        assert (answer.status_code, answer.json()["score"]) == (200, score)


@pytest.mark.parametrize(
    "roi", ["0,0,401,10", "0,150,10,51", "400,0,1,1", "1,2,3", "a,b,c,d", "0,0,0,5", "-1,0,5,5", ""]
)
async def test_a_roi_that_is_none(service: Service, roi: str) -> None:
    """Outside the image, empty or malformed: 422, and nothing is inspected."""
    answer = await service.client.post(URL, params={"roi": roi}, content=_spotted())
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")
