"""Over a real socket: uvicorn as `ssvp serve` configures it, clients with manners and without."""

import asyncio
import contextlib
import json
import threading
from pathlib import Path

import httpx
import pytest

from app.engine import image_files
from app.engine.lifecycle import Engine
from app.errors import DeviceLostError
from app.http import limits
from tests.conftest import until
from tests.fakes import FakeRuntime, encode, grey
from tests.serving import listening, serving_until_it_ends

pytestmark = pytest.mark.anyio

PNG = encode(grey(200))
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _request(body: bytes, *headers: str, path: str = "/v1/detect") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: line", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, object]]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    return head, json.loads(await reader.readexactly(length))


async def _closed(connection: Connection) -> None:
    connection[1].close()
    await connection[1].wait_closed()


async def test_a_plcs_connection_stays_open_between_parts() -> None:
    """No content type, HTML wanted, one request after another on one connection; errors do not close it."""
    async with listening(FakeRuntime()) as (_, port):
        connection = await asyncio.open_connection("127.0.0.1", port)
        for body, status in ((PNG, b"200"), (b"text", b"400"), (PNG, b"200")):
            connection[1].write(_request(body, "Accept: text/html"))
            head, found = await _answer(connection[0])
            assert head.startswith(b"HTTP/1.1 " + status)
            assert b"transfer-encoding" not in head.lower()
            assert found["result_code"] == (1 if status == b"200" else 2)
        await _closed(connection)


async def test_a_caller_who_hangs_up_leaves_the_queue() -> None:
    """Its image costs no device time; the next one in line is served."""
    runtime = FakeRuntime()
    async with listening(runtime) as (engine, port):
        runtime.gate.clear()
        first = await asyncio.open_connection("127.0.0.1", port)
        first[1].write(_request(PNG, path="/v1/detect?product=first"))
        await until(lambda: runtime.calls == 2)  # the golden image was the first
        leaver = await asyncio.open_connection("127.0.0.1", port)
        leaver[1].write(_request(PNG, path="/v1/detect?product=leaves"))
        await until(lambda: engine.snapshot().queue_depth == 1)
        await _closed(leaver)
        await until(lambda: engine.snapshot().queue_depth == 0)
        await until(lambda: engine.snapshot().inflight == 1)
        runtime.gate.set()
        assert (await _answer(first[0]))[1]["product"] == "first"
        await _closed(first)
    assert ["leaves"] not in runtime.batches


async def test_a_caller_who_hangs_up_takes_the_whole_batch_along() -> None:
    """None of its images is computed."""
    runtime = FakeRuntime()
    async with listening(runtime, max_batch=1) as (engine, port):
        runtime.gate.clear()
        first = await asyncio.open_connection("127.0.0.1", port)
        first[1].write(_request(PNG, path="/v1/detect?product=first"))
        await until(lambda: runtime.calls == 2)  # the golden image was the first
        form = httpx.Request("POST", "http://ssvp", files=[("image", ("a.png", PNG))] * 3)
        leaver = await asyncio.open_connection("127.0.0.1", port)
        content_type = f"Content-Type: {form.headers['content-type']}"
        leaver[1].write(_request(form.read(), content_type, path="/v1/detect/batch?product=leaves"))
        await until(lambda: engine.snapshot().queue_depth == 3)
        await _closed(leaver)
        await until(lambda: engine.snapshot().inflight == 1)
        assert engine.snapshot().queue_depth == 0
        runtime.gate.set()
        assert (await _answer(first[0]))[1]["product"] == "first"
        await _closed(first)
    assert ["leaves"] not in runtime.batches


async def test_a_caller_who_hangs_up_leaves_a_dead_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is free at once, not only at its deadline."""
    hang = threading.Event()
    monkeypatch.setattr(image_files, "read_image_file", lambda *_: hang.wait() and PNG)
    async with serving_until_it_ends(FakeRuntime(), image_roots=(tmp_path,)) as (server, _, port):
        engine: Engine = server.config.app.state.engine  # type: ignore[union-attr]
        leaver = await asyncio.open_connection("127.0.0.1", port)
        leaver[1].write(_request(b"", path="/v1/detect?image_path=a.png&deadline_ms=3600000"))
        await until(lambda: engine.snapshot().inflight == 1)
        await _closed(leaver)
        await until(lambda: engine.snapshot().inflight == 0)
        hang.set()


async def test_a_caller_who_hangs_up_leaves_a_pattern_on_a_dead_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits for good parts that nobody wants calibrated any more."""
    looking, hang = threading.Event(), threading.Event()

    def stuck(*_: object) -> list[str]:
        looking.set()
        hang.wait()
        return []

    monkeypatch.setattr(image_files, "find_image_files", stuck)
    async with serving_until_it_ends(FakeRuntime(), image_roots=(tmp_path,)) as (server, _, port):
        leaver = await asyncio.open_connection("127.0.0.1", port)
        leaver[1].write(_request(b'{"image_path": "*.png"}', path="/v1/products/nut/calibrate"))
        await until(looking.is_set)
        await _closed(leaver)
        await until(lambda: not server.server_state.tasks)
        hang.set()


async def test_an_upload_that_stops_half_way_hurts_nobody() -> None:
    """It takes no place, others are served meanwhile, and nothing of it stays when its connection ends."""
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port):
        engine: Engine = server.config.app.state.engine  # type: ignore[union-attr]
        half = await asyncio.open_connection("127.0.0.1", port)
        half[1].write(_request(PNG)[:-20])
        await until(lambda: len(server.server_state.tasks) == 1)
        assert engine.snapshot().inflight == 0
        other = await asyncio.open_connection("127.0.0.1", port)
        other[1].write(_request(PNG))
        assert (await _answer(other[0]))[1]["result"] == "NG"
        await _closed(other)
        await _closed(half)
        await until(lambda: not server.server_state.tasks)


async def test_shutdown_answers_what_was_accepted() -> None:
    """A request in the queue when the server is told to end gets its verdict."""
    runtime = FakeRuntime()
    async with listening(runtime) as (_, port):
        runtime.gate.clear()
        connection = await asyncio.open_connection("127.0.0.1", port)
        connection[1].write(_request(PNG))
        await until(lambda: runtime.calls == 2)
    head, found = await _answer(connection[0])
    assert head.startswith(b"HTTP/1.1 200")
    assert found["result"] == "NG"
    await _closed(connection)


async def test_an_upload_that_stalls_loses_its_place() -> None:
    """A sender that was switched off says nothing more; it gets 408 and is not waited for."""
    async with listening(FakeRuntime(), body_timeout_s=0.05) as (engine, port):
        stalled = await asyncio.open_connection("127.0.0.1", port)
        stalled[1].write(_request(PNG)[:-20])
        head, found = await _answer(stalled[0])
        assert head.startswith(b"HTTP/1.1 408")
        assert (found["code"], found["result_code"]) == ("body_timeout", 2)
        assert engine.snapshot().inflight == 0
        await _closed(stalled)


async def test_headers_that_never_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither their length nor their time is unbounded; others are served meanwhile."""
    monkeypatch.setattr(limits, "HEADERS_WITHIN_S", 0.5)
    async with listening(FakeRuntime()) as (_, port):
        slow = await asyncio.open_connection("127.0.0.1", port)
        slow[1].write(b"POST /v1/detect HTTP/1.1\r\nHost: line\r\nX-Slow: ")
        long = await asyncio.open_connection("127.0.0.1", port)
        long[1].write(b"POST /v1/detect HTTP/1.1\r\nX-Long: ")
        other = await asyncio.open_connection("127.0.0.1", port)
        other[1].write(_request(PNG))
        assert (await _answer(other[0]))[1]["result"] == "NG"
        for _ in range(
            17
        ):  # the last one is one too many; what the server had not read would reset the line
            long[1].write(b"x" * 4096)
            with contextlib.suppress(
                ConnectionResetError
            ):  # closed already; its answer is there to read
                await long[1].drain()
            await asyncio.sleep(0.002)
        for connection, status in ((slow, b"408"), (long, b"431")):
            head, found = await _answer(connection[0])
            assert head.startswith(b"HTTP/1.1 " + status)
            assert found["result_code"] == 2
            assert await connection[0].read() == b""  # closed
            await _closed(connection)
        await _closed(other)


async def test_what_is_no_http_is_told_so() -> None:
    """A problem document, then the connection ends."""
    async with listening(FakeRuntime()) as (_, port):
        connection = await asyncio.open_connection("127.0.0.1", port)
        connection[1].write(b"\x16\x03\x01 this is TLS\r\n\r\n")
        head, found = await _answer(connection[0])
        assert head.startswith(b"HTTP/1.1 400")
        assert b"application/problem+json" in head
        assert (found["code"], found["result_code"]) == ("http_malformed", 2)
        await _closed(connection)


async def test_a_silent_connection_is_let_go() -> None:
    """After the keep-alive time, without a word."""
    async with listening(FakeRuntime(), keep_alive_s=1) as (_, port):
        connection = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(connection[0].read(), 10) == b""
        await _closed(connection)


async def test_draining_refuses_the_next_request_of_an_open_connection() -> None:
    """From the signal on; the one before it is answered."""
    runtime = FakeRuntime()
    async with listening(runtime) as (engine, port):
        accepted = await asyncio.open_connection("127.0.0.1", port)
        late = await asyncio.open_connection("127.0.0.1", port)
        runtime.gate.clear()
        accepted[1].write(_request(PNG))
        await until(lambda: runtime.calls == 2)
        engine.drain()
        late[1].write(_request(PNG))
        head, found = await _answer(late[0])
        assert head.startswith(b"HTTP/1.1 503")
        assert found["code"] == "draining"
        runtime.gate.set()
        assert (await _answer(accepted[0]))[1]["result"] == "NG"
        await _closed(accepted)
        await _closed(late)


async def test_a_lost_device_ends_the_server() -> None:
    """Whoever waits has 503; the server stops by itself and says that it failed."""
    runtime = FakeRuntime()

    def lose() -> None:
        raise DeviceLostError("gone")

    async with serving_until_it_ends(runtime) as (server, running, port):
        runtime.on_predict = lose
        connection = await asyncio.open_connection("127.0.0.1", port)
        connection[1].write(_request(PNG))
        head, found = await _answer(connection[0])
        assert head.startswith(b"HTTP/1.1 503")
        assert found["code"] == "device_lost"
        await _closed(connection)
        await asyncio.wait_for(running, 10)
        assert server.failed
