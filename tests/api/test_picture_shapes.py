"""Pictures of every shape, and heat maps of their proportions."""

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Service
from tests.fakes import encode

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
Query = dict[str, str | int | float]


@pytest.mark.parametrize(
    ("picture", "encoding"),
    [
        (Image.new("RGB", (1, 1), "white"), "PNG"),
        (Image.new("RGB", (8000, 6000), "white"), "JPEG"),
        (Image.new("L", (8000, 1), 255), "BMP"),
        (Image.fromarray(np.linspace(0, 65535, 4096, dtype=np.uint16).reshape(64, 64)), "PNG"),
        (Image.new("CMYK", (64, 48), (0, 0, 0, 0)), "TIFF"),
        (Image.new("RGBA", (64, 48), (0, 0, 0, 1)), "WEBP"),
        (Image.new("P", (64, 48), 0), "PNG"),
    ],
    ids=["1 x 1", "8000 x 6000", "8000 x 1", "16 bits", "CMYK", "transparent", "palette"],
)
async def test_pictures_of_every_shape(
    service: Service, picture: Image.Image, encoding: str
) -> None:
    """A verdict with a heat map that has the picture's proportions."""
    answer = await service.client.post(URL, content=encode(picture, encoding))
    assert answer.status_code == 200, answer.text
    heatmap = answer.json()["heatmap"]
    scale = min(1.0, 512 / max(picture.size))
    assert heatmap["width"] == max(1, round(picture.width * scale))
    assert heatmap["height"] == max(1, round(picture.height * scale))


async def test_heatmap_at_the_images_own_size(service: Service) -> None:
    """The picture is there, though it was not kept while it waited."""
    picture = np.random.default_rng(0).integers(0, 100, (300, 700, 3), dtype=np.uint8)
    query: Query = {"heatmap_size": "original", "threshold": 1}
    found = (await service.client.post(URL, params=query, content=encode(picture))).json()
    assert (found["heatmap"]["width"], found["heatmap"]["height"]) == (700, 300)
