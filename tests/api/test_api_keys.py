"""Keys: who is asked for one, and how often it may ask."""

from pathlib import Path

import pytest

from app.settings import Settings
from tests.conftest import serving
from tests.fakes import encode, grey

pytestmark = pytest.mark.anyio

URL, BATCH = "/v1/detect", "/v1/detect/batch"
PNG = encode(grey(200))
KEY = "a-key-of-the-third-line"


async def test_keys_are_asked_for_where_there_are_some(tmp_path: Path) -> None:
    """For inspections only; probes and metrics stay open. The key never shows in an answer."""
    path = tmp_path / "keys"
    path.write_text(f"line3:{KEY}\n")
    async with serving(settings=Settings(api_keys_file=path)) as service:
        client = service.client
        missing = await client.post(URL, content=PNG)
        assert (missing.status_code, missing.json()["code"]) == (401, "key_missing")
        assert missing.headers["www-authenticate"] == "Bearer"
        wrong = await client.post(URL, content=PNG, headers={"X-API-Key": KEY + "x"})
        assert (wrong.status_code, wrong.json()["code"]) == (403, "key_wrong")
        assert KEY not in wrong.text
        basic = await client.post(URL, content=PNG, headers={"Authorization": f"Basic {KEY}"})
        assert (basic.status_code, basic.json()["code"]) == (401, "key_missing")
        bearers = (f"Bearer {KEY}", f"bearer {KEY}", f"Bearer  {KEY}")
        for headers in ({"X-API-Key": KEY}, *({"Authorization": said} for said in bearers)):
            assert (await client.post(URL, content=PNG, headers=headers)).status_code == 200
        for probe in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(probe)).status_code == 200
        small = await client.post(URL, params={"profile": "plc"}, content=PNG)
        assert (small.status_code, small.json()["result_code"]) == (401, 2)


async def test_a_key_that_asks_too_often_waits(tmp_path: Path) -> None:
    """429 with a time; batches count every image."""
    path = tmp_path / "keys"
    path.write_text(f"line3:{KEY}\n")
    settings = Settings(api_keys_file=path, key_rate_per_s=3)
    async with serving(settings=settings) as service:
        headers = {"X-API-Key": KEY}
        files = [("image", ("x.png", PNG))] * 3
        assert (await service.client.post(BATCH, files=files, headers=headers)).status_code == 200
        limited = await service.client.post(URL, content=PNG, headers=headers)
    assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
    assert int(limited.headers["retry-after"]) >= 1


async def test_a_batch_costs_no_more_than_its_images(tmp_path: Path) -> None:
    """Two of three: the third is there for the next part."""
    path = tmp_path / "keys"
    path.write_text(f"line3:{KEY}\n")
    settings = Settings(api_keys_file=path, key_rate_per_s=3)
    async with serving(settings=settings) as service:
        service.client.headers["X-API-Key"] = KEY
        files = [("image", ("x.png", PNG))] * 2
        assert (await service.client.post(BATCH, files=files)).status_code == 200
        assert (await service.client.post(URL, content=PNG)).status_code == 200
