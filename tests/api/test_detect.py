"""`POST /v1/detect` in process: the whole way from bytes to the answer, with a runtime of a few lines."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Service, serving, until
from tests.fakes import DIGEST, FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

DEFECT = grey(0, width=300, height=100)
DEFECT[40:60, 150:240] = 255  # bright: what the fake runtime calls anomalous
URL = "/v1/detect"
Query = dict[str, str | int | float]


async def test_a_defective_part(service: Service) -> None:
    """Every member of the documented answer, with values that belong together."""
    query: Query = {"product": "metal nut", "part_id": "A-17", "sequence": 17, "threshold": 0.05}
    answer = await service.client.post(URL, params=query, content=encode(DEFECT))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert list(found) == [
        "request_id",
        "part_id",
        "sequence",
        "product",
        "result",
        "result_code",
        "score",
        "threshold",
        "threshold_source",
        "profile_version",
        "score_global",
        "score_local",
        "regions",
        "heatmap",
        "model",
        "timing_ms",
        "batch_size",
        "warnings",
    ]
    assert found["request_id"] == answer.headers["x-request-id"]
    assert (found["part_id"], found["sequence"], found["product"]) == ("A-17", 17, "metal nut")
    assert (found["result"], found["result_code"]) == ("NG", 1)
    assert (found["threshold"], found["threshold_source"]) == (0.05, "request")
    assert abs(found["score"] - 0.06) < 0.005
    (region,) = found["regions"]
    assert abs(region["x"] - 150) <= 10
    assert abs(region["y"] - 40) <= 4
    assert abs(region["width"] - 90) <= 20
    assert abs(region["height"] - 20) <= 8
    assert found["model"] == {"name": "fake", "version": "1.2.3", "digest": DIGEST}
    assert set(found["timing_ms"]) == {"decode", "queue", "inference", "render", "total"}
    assert found["batch_size"] == 1


async def test_a_good_part(service: Service) -> None:
    """OK, code 0, no regions, the bundle's threshold; the overlay is the sent picture."""
    ramp = np.linspace(0, 60, 80).astype(np.uint8)
    picture = np.repeat(np.tile(ramp, (50, 1))[..., None], 3, axis=2)
    found = (await service.client.post(URL, content=encode(picture))).json()
    assert (found["result"], found["result_code"], found["regions"]) == ("OK", 0, [])
    assert (found["threshold"], found["threshold_source"]) == (0.5, "bundle")
    assert (found["product"], found["part_id"], found["sequence"]) == ("object", None, None)
    heatmap = found["heatmap"]
    assert (heatmap["kind"], heatmap["media_type"]) == ("overlay", "image/png")
    drawn = Image.open(io.BytesIO(base64.b64decode(heatmap["data"])))
    assert drawn.size == (heatmap["width"], heatmap["height"]) == (80, 50)
    same = np.corrcoef(np.asarray(drawn.convert("L")).ravel(), picture[..., 0].ravel())
    assert same[0, 1] > 0.9


async def test_the_three_forms_agree(service: Service) -> None:
    """Raw, multipart and JSON give one verdict."""
    data = encode(DEFECT)
    said = {"product": "nut", "part_id": "7", "threshold": "0.05"}
    raw = await service.client.post(URL, params=said, content=data)
    form = await service.client.post(URL, data=said, files={"image": ("x.png", data)})
    encoded = base64.b64encode(data).decode()
    body = json.dumps({"image": encoded, "product": "nut", "part_id": "7", "threshold": 0.05})
    by_json = await service.client.post(URL, content=body)

    def verdict(answer: object) -> dict[str, object]:
        found = answer.json()  # type: ignore[attr-defined]
        return {k: v for k, v in found.items() if k not in ("request_id", "timing_ms")}

    assert verdict(raw) == verdict(form) == verdict(by_json)


@pytest.mark.parametrize(
    ("kind", "encoding", "size", "expected"),
    [
        ("overlay", "jpeg", "100", (100, 33)),
        ("map", "webp", "64", (64, 21)),
        ("mask", "png", "original", (300, 100)),
    ],
)
async def test_heatmap_parameters(
    service: Service, kind: str, encoding: str, size: str, expected: tuple[int, int]
) -> None:
    """Kind, format and size are what was asked for."""
    query = {"heatmap": kind, "heatmap_format": encoding, "heatmap_size": size}
    found = (await service.client.post(URL, params=query, content=encode(DEFECT))).json()
    heatmap = found["heatmap"]
    assert (heatmap["kind"], heatmap["media_type"]) == (kind, f"image/{encoding}")
    drawn = Image.open(io.BytesIO(base64.b64decode(heatmap["data"])))
    assert (drawn.size, drawn.format) == (expected, encoding.upper())


async def test_no_heatmap(service: Service) -> None:
    """`none` saves the bytes."""
    found = await service.client.post(URL, params={"heatmap": "none"}, content=encode(DEFECT))
    assert found.json()["heatmap"] is None


async def test_no_heatmap_is_never_too_large(service: Service) -> None:
    """What is not drawn need not fit an encoder."""
    query = {"heatmap": "none", "heatmap_format": "webp", "heatmap_size": "original"}
    answer = await service.client.post(URL, params=query, content=encode(grey(1, 17_000, 2)))
    assert answer.status_code == 200


async def test_answers_have_a_length_an_id_and_timings(service: Service) -> None:
    """PLCs cannot read chunked answers; traces need the caller's own id."""
    answer = await service.client.post(
        URL, content=encode(DEFECT), headers={"X-Request-ID": "line3-000123", "Accept": "text/html"}
    )
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "line3-000123"
    assert "inference;dur=" in answer.headers["server-timing"]
    assert "total;dur=" in answer.headers["server-timing"]


async def test_an_unfit_request_id_is_replaced(service: Service) -> None:
    """Control characters do not get into logs and headers."""
    answer = await service.client.post(
        URL, content=encode(DEFECT), headers={"X-Request-ID": "a b" * 100}
    )
    assert len(answer.headers["x-request-id"]) == 32


async def test_fifty_callers_get_their_own_results() -> None:
    """Mixed products under load: score, product, part and sequence stay together."""
    runtime = FakeRuntime()
    async with serving(runtime) as service:

        async def call(i: int) -> None:
            query: Query = {"product": f"p{i % 7}", "part_id": f"part {i}", "sequence": i}
            found = await service.client.post(URL, params=query, content=encode(grey(5 * i)))
            said = found.json()
            assert (said["product"], said["part_id"], said["sequence"]) == tuple(query.values())
            assert abs(said["score"] - 5 * i / 255) < 1e-3
            assert said["result"] == ("NG" if said["score"] >= 0.5 else "OK")

        runtime.gate.clear()
        calls = [asyncio.create_task(call(i)) for i in range(50)]
        await until(lambda: service.engine.snapshot().inflight == len(calls))
        runtime.gate.set()
        await asyncio.gather(*calls)
    assert max(len(batch) for batch in runtime.batches) > 1
    assert len(runtime.threads) == 1


async def test_score_and_result_agree_at_the_threshold() -> None:
    """A score of 0.49996 must not be shown as 0.5 beside an OK."""
    runtime = FakeRuntime()
    picture = grey(128)
    exact = float(runtime.prepare(picture).mean())
    async with serving(runtime) as service:
        for threshold in (exact, exact + 1e-6, round(exact, 4), exact - 1e-6):
            query = {"threshold": repr(threshold)}
            answer = await service.client.post(URL, params=query, content=encode(picture))
            found = answer.json()
            assert (found["result"] == "NG") == (found["score"] >= found["threshold"])
