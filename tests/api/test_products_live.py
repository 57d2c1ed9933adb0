"""`/v1/products` while the line runs: drift, keys, a file that changes."""

import asyncio
import logging
from pathlib import Path

import pytest

from app.settings import Settings
from tests.conftest import Service, serving
from tests.products import GOOD, NUT, detect, scores

pytestmark = pytest.mark.anyio


async def test_drift_of_the_line_shows_in_metrics_and_once_in_the_log(
    kept: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Scores as at calibration stay below the limit; brighter parts cross it, in one line."""
    await kept.client.post(f"{NUT}/calibrate", json=scores(GOOD * 3))
    caplog.set_level(logging.INFO, "app.products.live")

    async def show(level: int) -> None:
        await detect(kept, level)

    for i in range(60):
        await show(GOOD[i % 19])
    psi, limit = await _psi(kept)
    assert psi < limit / 3
    for i in range(150):
        await show(GOOD[i % 19] + 10)
    psi, limit = await _psi(kept)
    assert psi > limit
    assert len([r for r in caplog.records if "drifted" in r.message]) == 1


async def test_verdicts_of_a_calibrated_product_begin_at_zero(kept: Service) -> None:
    """Its first NG after a start is an increase for Prometheus, not a series that begins."""
    await kept.client.post(f"{NUT}/calibrate", json=scores(GOOD))
    text = (await kept.client.get("/metrics")).text
    for result in ("OK", "NG"):
        assert f'ssvp_verdicts_total{{product="metal nut",result="{result}"}} 0.0' in text


async def _psi(service: Service) -> tuple[float, float]:
    lines = (await service.client.get("/metrics")).text.splitlines()
    (psi,) = [line for line in lines if line.startswith('ssvp_score_psi{product="metal nut"}')]
    (limit,) = [line for line in lines if line.startswith("ssvp_score_psi_limit{")]
    return float(psi.split()[-1]), float(limit.split()[-1])


async def test_keys_are_asked_for(tmp_path: Path) -> None:
    """Who may not inspect may not change what decides, nor read it."""
    keys = tmp_path / "keys"
    keys.write_text("line:a-key-for-the-line\n")
    async with serving(settings=Settings(api_keys_file=keys)) as service:
        for method, url in (
            ("GET", "/v1/products"),
            ("GET", NUT),
            ("POST", f"{NUT}/calibrate"),
            ("POST", f"{NUT}/rollback"),
        ):
            assert (await service.client.request(method, url)).status_code == 401
        headers = {"X-API-Key": "a-key-for-the-line"}
        assert (await service.client.get("/v1/products", headers=headers)).status_code == 200


async def test_the_file_is_followed(kept: Service, settings: Settings) -> None:
    """A profile that another process writes decides a moment later."""
    assert settings.products_file is not None
    made = await kept.client.post(f"{NUT}/calibrate", json={**scores(GOOD), "dry_run": True})
    settings.products_file.write_text(made.json()["text"])

    async def decided() -> str:
        return str((await detect(kept))["threshold_source"])

    for _ in range(40):
        if await decided() == "profile":
            break
        await asyncio.sleep(0.1)
    assert await decided() == "profile"
