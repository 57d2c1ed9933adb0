"""What a request may ask for beside the plain verdict: a part, a file, several images, a small answer."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.api.routes import batch, detect
from app.engine import image_files
from app.settings import Settings
from tests.conftest import Service, serving, until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

URL, BATCH = "/v1/detect", "/v1/detect/batch"
PNG = encode(grey(200))
Query = dict[str, str | int | float]
KEY = "a-key-of-the-third-line"


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


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """A folder a camera PC writes to."""
    (tmp_path / "cam1").mkdir()
    (tmp_path / "cam1" / "000123.png").write_bytes(PNG)
    (tmp_path / "cam1" / "notes.txt").write_text("no picture")
    return tmp_path


async def test_an_image_by_its_path(cameras: Path) -> None:
    """In the JSON body, or in the query of an empty one."""
    async with serving(settings=Settings(image_roots=(cameras,))) as service:
        path = "cam1/000123.png"
        for answer in (
            await service.client.post(URL, json={"image_path": path, "part_id": "A-17"}),
            await service.client.post(URL, params={"image_path": path, "part_id": "A-17"}),
        ):
            assert answer.status_code == 200, answer.text
            assert (answer.json()["result"], answer.json()["part_id"]) == ("NG", "A-17")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("cam1/000124.png", 404, "image_path_unknown"),
        ("../../etc/passwd", 404, "image_path_unknown"),
        ("cam1/notes.txt", 400, "image_unrecognised"),
        ("", 422, "parameter_invalid"),
    ],
)
async def test_a_path_without_a_picture(cameras: Path, path: str, status: int, code: str) -> None:
    """No text of the file and no folder of the machine is in the answer."""
    async with serving(settings=Settings(image_roots=(cameras,))) as service:
        answer = await service.client.post(URL, json={"image_path": path})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["result_code"] == 2
    assert str(cameras) not in answer.text


async def test_paths_are_off_by_default_and_never_beside_an_image(service: Service) -> None:
    """The error says which setting turns them on."""
    answer = await service.client.post(URL, json={"image_path": "a.png"})
    assert answer.status_code == 422
    assert "SSVP_IMAGE_ROOTS" in answer.json()["detail"]
    both = await service.client.post(URL, params={"image_path": "a.png"}, content=PNG)
    assert (both.status_code, both.json()["code"]) == (400, "image_missing")


async def test_a_dead_share_leaves_the_line_its_places(
    cameras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the places wait for it, further paths are refused, pictures are inspected."""
    monkeypatch.setattr(image_files, "SLOW_S", -1.0)
    hang = threading.Event()
    monkeypatch.setattr(image_files, "read_image_file", lambda *_: hang.wait() and PNG)
    chosen = Settings(image_roots=(cameras,), queue_size=5, max_batch=1)
    async with serving(settings=chosen) as service:
        path = {"image_path": "cam1/000123.png"}
        waiting = [asyncio.create_task(service.client.post(URL, params=path)) for _ in range(3)]
        await until(lambda: service.engine.snapshot().inflight == 3)
        refused = await service.client.post(URL, params=path)
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
        assert (await service.client.post(URL, content=PNG)).status_code == 200
        hang.set()
        assert [(await task).status_code for task in waiting] == [200] * 3


async def test_the_plc_profile(service: Service) -> None:
    """A verdict and an error look alike, whoever asked in whichever form."""
    query: Query = {"profile": "plc", "part_id": "T\u00fcr-17", "sequence": 5}
    good = await service.client.post(URL, params=query, content=PNG)
    bad = await service.client.post(URL, json=query | {"image": "AAAA"})
    ugly = await service.client.post(URL, params=query | {"threshold": "NaN"}, content=PNG)
    assert [a.status_code for a in (good, bad, ugly)] == [200, 400, 422]
    for answer in (good, bad, ugly):
        assert answer.headers["content-type"] == "application/json"
        assert len(answer.content) <= 512
        assert list(answer.json()) == list(good.json())
        assert (answer.json()["part_id"], answer.json()["sequence"]) == ("T?r-17", 5)
    assert [a.json()["result_code"] for a in (good, bad, ugly)] == [1, 2, 2]


async def test_the_line_profile(service: Service) -> None:
    """One line of text, always with its length."""
    query: Query = {"profile": "line", "part_id": "A-17", "sequence": 17}
    answer = await service.client.post(URL, params=query, content=PNG)
    assert answer.content == b"1;0.7843;0.5000;17;A-17\r\n"
    assert answer.headers["content-type"] == "text/plain; charset=us-ascii"
    assert answer.headers["content-length"] == "25"
    failed = await service.client.post(URL, params=query, content=b"no picture")
    assert (failed.status_code, failed.content) == (400, b"2;0.0000;0.0000;17;A-17\r\n")


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
        for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
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


async def test_a_deadline_that_cannot_be_met() -> None:
    """504 from the worker's queue; the request that has time gets its verdict."""
    runtime = FakeRuntime()
    async with serving(runtime) as service:
        runtime.gate.clear()
        late = await service.client.post(URL, params={"deadline_ms": 50}, content=PNG)
        assert (late.status_code, late.json()["code"]) == (504, "deadline_passed")
        assert late.json()["result_code"] == 2
        runtime.gate.set()
        fine = await service.client.post(URL, params={"deadline_ms": 5000}, content=PNG)
        assert fine.status_code == 200
        text = (await service.client.get("/metrics")).text
        assert "ssvp_deadline_missed_total 1.0" in text


@pytest.mark.parametrize("deadline_ms", ["0", "-5", "1.5", "3600001", "soon"])
async def test_a_deadline_that_is_none(service: Service, deadline_ms: str) -> None:
    """Whole milliseconds, from 1 to an hour."""
    answer = await service.client.post(URL, params={"deadline_ms": deadline_ms}, content=PNG)
    assert answer.status_code == 422


async def test_an_answer_that_takes_too_long_to_write_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deadline ends at the answer, not at the verdict."""
    async with serving() as service:
        monkeypatch.setattr(detect, "_response", lambda *_: threading.Event().wait(0.5))
        answer = await service.client.post(URL, params={"deadline_ms": "400"}, content=PNG)
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")


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
