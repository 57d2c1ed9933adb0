"""What tests of `/v1/products` share: a product, its good parts, calls."""

from typing import Any

from tests.conftest import Service
from tests.fakes import DIGEST, encode, grey

NUT = "/v1/products/Metal%20Nut"
GOOD = [50 + i for i in range(19)]  # grey levels; the fake scores level / 255
CALIBRATED = 0.2668  # the step above 68 / 255, shown as 0.2667


def form(levels: list[int]) -> list[tuple[str, tuple[str, bytes]]]:
    """Return pictures of these grey levels as a form."""
    return [("image", (f"{level}.png", encode(grey(level)))) for level in levels]


def scores(levels: list[int]) -> dict[str, Any]:
    """Return what calibrates by their scores alone."""
    given = [{"name": f"{level}.png", "score": round(level / 255, 4)} for level in levels]
    return {"scores": given, "digest": DIGEST, "false_reject": 0.05}


async def detect(service: Service, level: int = 67, **query: Any) -> dict[str, Any]:
    """Inspect one part."""
    params = {"product": "metal nut", "heatmap": "none", **query}
    answer = await service.client.post("/v1/detect", params=params, content=encode(grey(level)))
    found: dict[str, Any] = answer.json()
    return found
