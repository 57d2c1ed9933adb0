"""Several images in one request: each is answered for itself, or the call fails whole."""

import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.api.routes import batch
from app.settings import Settings
from tests.conftest import Service, serving
from tests.fakes import FakeRuntime, encode, grey
from tests.products import GOOD, NUT, scores

pytestmark = pytest.mark.anyio

BATCH = "/v1/detect/batch"
PNG = encode(grey(200))


async def test_a_batch_answers_each_image_for_itself() -> None:
    """In order; a broken one does not spoil the others, a poisoned one fails with 500 alone."""
    async with serving(FakeRuntime()) as service:
        levels = [10, 60, 110, 160]
        files = [("image", (f"{i}.png", encode(grey(level)))) for i, level in enumerate(levels)]
        files.insert(2, ("image", ("broken.png", PNG[:50])))
        answer = await service.client.post(BATCH, files=files, data={"part_id": "tray 3"})
        assert answer.status_code == 200
        results = answer.json()["results"]
        assert [r["status"] for r in results] == [200, 200, 400, 200, 200]
        assert results[2]["code"] == "image_corrupt"
        assert results[2]["result_code"] == 2
        assert "needed" not in results[2]  # of calibrations only
        scores = [r["score"] for r in results if r["status"] == 200]
        assert scores == pytest.approx([level / 255 for level in levels], abs=1e-4)
        assert {r["part_id"] for r in results if r["status"] == 200} == {"tray 3"}
        text = (await service.client.get("/metrics")).text
        assert 'ssvp_requests_total{outcome="image_corrupt"} 1.0' in text
        assert 'ssvp_requests_total{outcome="ok"} 3.0' in text
        assert 'ssvp_requests_total{outcome="ng"} 1.0' in text


async def test_a_bug_on_one_image_of_a_batch_leaves_the_others_their_verdicts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The image is `internal` in its own place; what happened is in the log alone, with its traceback."""
    runtime = FakeRuntime()
    prepare = runtime.prepare

    def broken(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        if image[0, 0, 0] == 13:
            raise KeyError("secret inner state")
        return prepare(image)

    async with serving(runtime) as service:
        monkeypatch.setattr(runtime, "prepare", broken)
        files = [("image", ("a.png", encode(grey(level)))) for level in (20, 13, 200)]
        answer = await service.client.post(BATCH, files=files)
        text = (await service.client.get("/metrics")).text
    good, lost, bad = answer.json()["results"]
    assert (good["result"], lost["code"], bad["result"]) == ("OK", "internal", "NG")
    assert (answer.status_code, lost["status"], lost["result_code"]) == (200, 500, 2)
    assert "secret" not in answer.text
    (logged,) = [record for record in caplog.records if record.exc_info]
    assert logged.exc_info is not None
    assert logged.exc_info[0] is KeyError
    assert lost["request_id"] in logged.getMessage()
    for outcome in ("ok", "ng", "internal"):
        assert f'ssvp_requests_total{{outcome="{outcome}"}} 1.0' in text


async def test_a_batch_larger_than_the_queue_is_refused_in_part() -> None:
    """What there is room for is inspected; the rest may be sent again."""
    async with serving(settings=Settings(queue_size=1, max_batch=1)) as service:
        files = [("image", ("x.png", PNG))] * 5
        results = (await service.client.post(BATCH, files=files)).json()["results"]
    statuses = [r["status"] for r in results]
    assert sorted(set(statuses)) == [200, 503]


@pytest.mark.parametrize(
    ("files", "query", "status"),
    [
        ([("other", ("x.txt", b"x"))], {}, 422),
        ([("image", ("x.png", PNG))], {"profile": "plc"}, 422),
        ([("image", ("x.png", PNG))], {"image_path": "x"}, 422),
        ([("image", ("x.png", PNG))] * 40, {}, 400),
    ],
)
async def test_a_batch_that_is_none(
    service: Service, files: list[tuple[str, tuple[str, bytes]]], query: dict[str, str], status: int
) -> None:
    """The call fails whole."""
    answer = await service.client.post(BATCH, files=files, params=query)
    assert answer.status_code == status, answer.text


async def test_a_batch_that_takes_too_long_to_write_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a single image's answer: whoever waits no longer is not told of verdicts in time."""
    real = batch._result

    def slowly(*arguments: object) -> dict[str, object]:
        threading.Event().wait(0.5)
        return real(*arguments)  # type: ignore[arg-type]

    async with serving() as service:
        monkeypatch.setattr(batch, "_result", slowly)
        files = [("image", ("a.png", PNG))]
        answer = await service.client.post(BATCH, params={"deadline_ms": "400"}, files=files)
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")


@pytest.mark.parametrize(
    ("status", "code", "late"),
    [(504, "deadline_passed", 2), (500, "internal", 0)],
    ids=["late", "a bug"],
)
async def test_verdicts_that_are_lost_with_their_batch_count_as_none(
    status: int, code: str, late: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both images were inspected, but nobody was told; the broken third keeps its own reason."""

    def dumps(_: object) -> str:
        if status == 500:
            raise ValueError("a bug")
        threading.Event().wait(0.5)
        return "{}"

    async with serving() as service:
        monkeypatch.setattr(batch, "json", SimpleNamespace(dumps=dumps))
        files = [("image", ("a.png", data)) for data in (PNG, PNG, b"no picture")]
        answer = await service.client.post(BATCH, params={"deadline_ms": "400"}, files=files)
        assert answer.status_code == status
        text = (await service.client.get("/metrics")).text
    assert f'ssvp_requests_total{{outcome="{code}"}} 2.0' in text
    assert 'ssvp_requests_total{outcome="image_unrecognised"} 1.0' in text
    assert f"ssvp_deadline_missed_total {late}.0" in text
    for result in ("OK", "NG"):
        assert f'ssvp_verdicts_total{{product="other",result="{result}"}} 0.0' in text


async def test_a_batch_is_written_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dozens of heat maps as text take a while, in which no other request would move."""
    threads = []

    def watched(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            threads.append(threading.get_ident())
            return work(*arguments)

        return noted

    async with serving() as service:
        monkeypatch.setattr(batch, "_result", watched(batch._result))
        monkeypatch.setattr(batch, "json", SimpleNamespace(dumps=watched(json.dumps)))
        answer = await service.client.post(BATCH, files=[("image", ("a.png", PNG))])
    assert answer.status_code == 200
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_a_batch_with_a_roi_is_not_judged_by_the_whole_images_profile(kept: Service) -> None:
    """As a single image is not: scores of a part of the picture are other scores."""
    await kept.client.post(f"{NUT}/calibrate", json=scores(GOOD))
    for roi, source in (({}, "profile"), ({"roi": "0,0,20,20"}, "bundle")):
        query = {"product": "metal nut", **roi}
        files = [("image", ("a.png", PNG))]
        (found,) = (await kept.client.post(BATCH, params=query, files=files)).json()["results"]
        assert found["threshold_source"] == source
