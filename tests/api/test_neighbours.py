"""One caller's trouble stays that caller's: slow senders, dead shares, too much at once."""

import asyncio
import threading
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


async def test_a_dead_share_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads that never return end in 504 at their deadline; bodies are inspected meanwhile."""
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
        assert {a.status_code for a in await hanging} == {504}
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
