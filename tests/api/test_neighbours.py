"""One caller's trouble stays that caller's: slow senders, dead shares, huge answers, batches given up."""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.engine import image_files
from app.observability import Metrics, RequestRecord
from app.settings import Settings
from tests.conftest import serving, until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

URL, BATCH = "/v1/detect", "/v1/detect/batch"
PNG = encode(grey(200))


async def _never_ending(stop: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"x"
    await stop.wait()


async def test_more_slow_senders_than_places_take_none() -> None:
    """Bodies that do not arrive hold no place in the queue: the next caller is served."""
    settings = Settings(queue_size=4, max_batch=2)
    async with serving(settings=settings) as service:
        stop = asyncio.Event()
        slow = [
            asyncio.create_task(service.client.post(URL, content=_never_ending(stop)))
            for _ in range(10)
        ]
        await asyncio.sleep(0.05)
        answer = await service.client.post(URL, content=PNG)
        assert answer.status_code == 200
        stop.set()
        # All ten are there at once now: "x" is no image, and there are six places.
        assert {(await task).status_code for task in slow} <= {400, 503}


async def test_too_much_arriving_at_once_is_refused_not_stored() -> None:
    """Eight times the largest body may be under way; what exceeds it gets 503 while it still arrives."""
    settings = Settings(max_body_bytes=1000)
    async with serving(settings=settings) as service:
        stop = asyncio.Event()

        async def large() -> AsyncIterator[bytes]:
            yield b"x" * 900
            await stop.wait()

        senders = [asyncio.create_task(service.client.post(URL, content=large())) for _ in range(9)]
        done, _ = await asyncio.wait(senders, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().json()["code"] for task in done] == ["queue_full"]
        stop.set()
        await asyncio.gather(*senders)
        assert (await service.client.post(URL, content=PNG[:999])).status_code != 503


async def test_pictures_read_by_path_count_like_bodies(tmp_path: Path) -> None:
    """Waiting for their turn they are as large in memory: nine of the largest size are one too many."""
    picture = encode(grey(200), "BMP")
    (tmp_path / "a.bmp").write_bytes(picture)
    runtime = FakeRuntime()
    settings = Settings(image_roots=(tmp_path,), max_body_bytes=len(picture))
    async with serving(runtime, settings=settings) as service:
        runtime.gate.clear()
        query = {"image_path": "a.bmp"}
        asked = [asyncio.create_task(service.client.post(URL, params=query)) for _ in range(9)]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().json()["code"] for task in done] == ["queue_full"]
        runtime.gate.set()
        assert {(await task).status_code for task in waiting} == {200}
        assert (await service.client.post(URL, params=query)).status_code == 200


async def test_a_dead_share_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the places wait for it and end in 504, the others are refused; bodies are inspected meanwhile."""
    hang, real = threading.Event(), image_files.read_image_file

    def read(*arguments: object) -> bytes | None:
        hang.wait()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(image_files, "read_image_file", read)
    (tmp_path / "a.png").write_bytes(PNG)
    async with serving(settings=Settings(image_roots=(tmp_path,))) as service:
        query = {"image_path": "a.png", "deadline_ms": "300"}
        files = [service.client.post(URL, params=query, content=b"{}") for _ in range(60)]
        hanging = asyncio.gather(*files)
        answer = await service.client.post(URL, params={"deadline_ms": "5000"}, content=PNG)
        assert answer.status_code == 200
        assert Counter(a.status_code for a in await hanging) == {504: 36, 503: 24}
        hang.set()
        await asyncio.sleep(0)
        query["deadline_ms"] = "5000"
        answer = await service.client.post(URL, params=query, content=b"{}")
        assert answer.status_code == 200


def test_a_folder_that_became_a_link_leads_nowhere(tmp_path: Path) -> None:
    """An open file that lies elsewhere than its path said is not read."""
    root, secret = tmp_path / "root", tmp_path / "secret"
    root.mkdir()
    secret.write_bytes(b"secret")
    descriptor = os.open(secret, os.O_RDONLY)
    assert not image_files._still_inside(descriptor, root)
    assert image_files._still_inside(descriptor, tmp_path)
    os.close(descriptor)


async def test_an_answer_that_takes_too_long_to_write_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deadline ends at the answer, not at the verdict."""
    from app.api.routes import detect

    async with serving() as service:
        monkeypatch.setattr(detect, "_response", lambda *_: threading.Event().wait(0.5))
        answer = await service.client.post(URL, params={"deadline_ms": "400"}, content=PNG)
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")


async def test_a_batch_given_up_is_no_bug() -> None:
    """A caller who leaves counts as one who left, image by image, not as internal errors."""
    record = RequestRecord("id", "POST", BATCH, inspects=True)
    for _ in range(5):
        record.part()
    record.status, record.code = 499, "client_gone"
    async with serving() as service:
        metrics = Metrics()
        metrics.observe_request(record)
        text = metrics.exposition(service.engine.snapshot(), {}).decode()
    assert 'ssvp_requests_total{outcome="client_gone"} 5.0' in text
    assert 'ssvp_requests_total{outcome="internal"} 0.0' in text


@pytest.mark.parametrize("sequence", ["17.0", "+17", "1_7", " 17", "1e3", "0x11"])
async def test_a_sequence_is_digits_or_an_error(sequence: str) -> None:
    """What a PLC could not match again is refused, not answered with another number."""
    async with serving() as service:
        for profile in ("full", "plc"):
            query = {"sequence": sequence, "profile": profile}
            answer = await service.client.post(URL, params=query, content=PNG)
            assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")
        answer = await service.client.post(URL, params={"sequence": "-17"}, content=PNG)
        assert answer.json()["sequence"] == -17


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("deadline_ms", ["5_000", "\t5000", "+5000", "٥٠٠٠", "5e3"]),
        ("heatmap_size", ["5_12", "512\n", "५१२"]),
        ("threshold", ["1_0e-2", "0 .5", "+0.5", "٠.٥", "0,5", "nan", "0x1p-1"]),
        ("roi", ["1_0,0,20,20", "٠,٠,٢٠,٢٠"]),
    ],
)
async def test_a_number_is_plain_or_an_error(name: str, values: list[str]) -> None:
    """What one reader takes for a number and another for something else is refused, wherever it stands."""
    async with serving() as service:
        for value in values:
            query = await service.client.post(URL, params={name: value}, content=PNG)
            form = await service.client.post(URL, data={name: value}, files={"image": PNG})
            for answer in (query, form):
                assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")


@pytest.mark.parametrize("threshold", ["0.5", ".5", "5e-1", "0.50", "  0.5 "])
async def test_plain_numbers_are_taken(threshold: str) -> None:
    """As languages write them, and as PLCs do, which pad numbers with blanks."""
    async with serving() as service:
        query = {"threshold": threshold, "deadline_ms": "5000", "heatmap_size": "64"}
        answer = await service.client.post(URL, params=query, content=PNG)
        assert (answer.status_code, answer.json()["threshold"]) == (200, 0.5)


async def test_a_batch_that_takes_too_long_to_write_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a single image's answer: whoever waits no longer is not told of verdicts in time."""
    from app.api.routes import batch

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
    from app.api.routes import batch

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


async def test_large_bodies_count_until_they_are_answered() -> None:
    """Places for many parts are no memory for as many large pictures: what exceeds it is refused."""
    runtime, padded = FakeRuntime(), PNG + b"\0" * (900 - len(PNG))
    async with serving(runtime, settings=Settings(max_body_bytes=1000)) as service:
        runtime.gate.clear()
        tasks = [asyncio.create_task(service.client.post(URL, content=padded)) for _ in range(10)]
        await until(lambda: sum(task.done() for task in tasks) == 2)
        refused = [task.result() for task in tasks if task.done()]
        assert {answer.json()["code"] for answer in refused} == {"queue_full"}
        runtime.gate.set()
        answers = [await task for task in tasks]
        assert [answer.status_code for answer in answers].count(200) == 8
        assert (await service.client.post(URL, content=padded)).status_code == 200
