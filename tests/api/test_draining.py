"""Requests that wait for a dead share when the service is told to end: they have an answer too."""

import asyncio
import json
import threading
from pathlib import Path

import pytest

from app.engine import image_files
from tests.fakes import FakeRuntime
from tests.serving import serving_until_it_ends

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "target",
    [
        "/v1/detect?image_path=a.png&deadline_ms=3600000",
        "/v1/products/x/calibrate?image_path=*.png",
    ],
)
async def test_whoever_waits_for_a_dead_share_has_503_after_the_grace_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """As a problem document with `result_code` 2, before the connection is closed."""
    hang, reached = threading.Event(), threading.Event()

    def never(*_: object) -> None:
        reached.set()
        hang.wait()

    monkeypatch.setattr(image_files, "read_image_file", never)
    monkeypatch.setattr(image_files, "find_image_files", never)
    async with serving_until_it_ends(FakeRuntime(), image_roots=(tmp_path,), grace_time_s=1) as (
        server,
        running,
        port,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        await asyncio.to_thread(reached.wait, 10)
        server.config.app.state.engine.drain()  # type: ignore[union-attr]
        server.should_exit = True
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert b"application/problem+json" in head
        found = json.loads(body)
        assert (found["code"], found["result_code"]) == ("draining", 2)
        writer.close()
        await running
    hang.set()
