"""One caller's trouble stays that caller's: slow senders, dead shares, too much at once."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.engine import image_files
from app.settings import Settings
from tests.conftest import serving, until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
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
    monkeypatch.setattr(image_files, "SLOW_S", -1.0)
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
                assert answer.json()["detail"].startswith(f"{name}: ")
                assert "Value error" not in answer.text


@pytest.mark.parametrize("threshold", ["0.5", ".5", "5e-1", "0.50", "  0.5 "])
async def test_plain_numbers_are_taken(threshold: str) -> None:
    """As languages write them, and as PLCs do, which pad numbers with blanks."""
    async with serving() as service:
        query = {"threshold": threshold, "deadline_ms": "5000", "heatmap_size": "64"}
        answer = await service.client.post(URL, params=query, content=PNG)
        assert (answer.status_code, answer.json()["threshold"]) == (200, 0.5)


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
