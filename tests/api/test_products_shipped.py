"""Calibration and drift with the shipped model: one scene under a fixed camera, as a line sees its parts."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.runtime.ssvp import load_runtime
from app.settings import Settings
from model.data.procedural import TRAIN_DEFECTS, generate_pair
from tests.conftest import Service, serving
from tests.fakes import encode

pytestmark = pytest.mark.anyio

PRODUCT = "brushed metal"
SIDE, PLAY = 88, 8  # pixels; parts lie up to PLAY apart


def _parts(rng: np.random.Generator, count: int, exposure: float) -> list[bytes]:
    """Photograph good parts: another place, sensor noise, lamps that vary by 2 %."""
    scene = generate_pair(10**15 + 3, SIDE + PLAY, ("brushed_metal",), TRAIN_DEFECTS).normal.image

    def photograph() -> NDArray[np.uint8]:
        y, x = rng.integers(0, PLAY + 1, 2)
        light = exposure * (1 + 0.02 * rng.standard_normal())
        noise = 3 * rng.standard_normal((SIDE, SIDE, 1))
        part = scene[y : y + SIDE, x : x + SIDE] * light + noise
        return np.clip(part, 0, 255).astype(np.uint8)

    return [encode(photograph()) for _ in range(count)]


async def _index(service: Service, parts: list[bytes]) -> tuple[float, float]:
    for part in parts:
        params = {"product": PRODUCT, "heatmap": "none"}
        answer = await service.client.post("/v1/detect", params=params, content=part)
        assert answer.json()["threshold_source"] == "profile"
    lines = (await service.client.get("/metrics")).text.splitlines()
    psi, limit = (
        float(line.split()[-1])
        for name in ("ssvp_score_psi{", "ssvp_score_psi_limit{")
        for line in lines
        if line.startswith(name)
    )
    return psi, limit


async def test_light_that_changes_by_a_fifth_drifts_and_fresh_good_parts_do_not(
    tmp_path: Path,
) -> None:
    """From sixty photographs to the index, through HTTP, queue and model."""
    rng = np.random.default_rng(0)
    settings = Settings(products_file=tmp_path / "products.json", device="cpu")
    runtime = load_runtime("ssvp-nano", "cpu")
    async with serving(runtime, settings=settings) as service:
        good = [("image", (f"{i}.png", part)) for i, part in enumerate(_parts(rng, 60, 1.0))]
        answer = await service.client.post(
            f"/v1/products/{PRODUCT}/calibrate",
            params={"false_reject": 0.05},
            files=good,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        profile = answer.json()["profile"]
        assert profile["bundle"]["digest"] == runtime.info.digest
        psi, limit = await _index(service, _parts(rng, 50, 1.0))
        assert psi < limit
        psi, limit = await _index(service, _parts(rng, 50, 1.2))
        assert psi > limit
