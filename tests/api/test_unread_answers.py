"""Over a real socket: answers that nobody reads, that are read slowly, or only after all has been sent."""

import asyncio
import contextlib
import socket

import numpy as np
import pytest

from app.http import limits, unread
from app.http.server import Server
from tests.conftest import WAIT_S, until
from tests.fakes import FakeRuntime, encode
from tests.raw_http import Caller, calling, inspection
from tests.serving import listening, serving_until_it_ends

pytestmark = pytest.mark.anyio

LARGE = bytes(2**24)  # more than the buffers of a connection hold


async def test_an_answer_that_nobody_reads_does_not_stay(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its memory and connection are given back after a while without progress."""
    monkeypatch.setattr(unread, "UNREAD_FOR_S", 0.3)
    async with listening(FakeRuntime()) as (_, port):
        deaf = socket.create_connection(("127.0.0.1", port))
        await asyncio.to_thread(deaf.sendall, _large_heatmap())
        await until(lambda: " 0 bytes of its answer were read" in caplog.text)
        read = await asyncio.to_thread(_read_to_the_end, deaf)
        assert 0 < len(read) < 10_000_000  # what the system's own buffers held
        deaf.close()


async def test_every_byte_that_is_left_is_told_of() -> None:
    """By itself asyncio keeps 64 KiB of each connection and says nothing."""
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port), calling(port) as caller:
        await caller.send(inspection())
        assert (await caller.answer()).status == 200
        (connection,) = server.server_state.connections
        assert isinstance(connection, limits.LimitedProtocol)
        assert connection.transport.get_write_buffer_limits() == (0, 0)


async def test_an_answer_that_is_read_slowly_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes some of it now and then gets all of it."""
    monkeypatch.setattr(unread, "UNREAD_FOR_S", 1.0)
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(_large_heatmap())
        size, read = await _read_slowly(caller)
        assert read == size > 8_000_000


async def test_an_answer_that_is_read_in_drops_does_not_stay(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A few bytes now and then do not keep it."""
    monkeypatch.setattr(unread, "UNREAD_FOR_S", 0.5)
    monkeypatch.setattr(unread, "LEAST_READ_BYTES", 2**30)
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(_large_heatmap())
        size, read = await _read_slowly(caller)
        assert read < size
        assert "bytes of its answer were read" in caplog.text


async def test_a_caller_who_has_read_a_large_answer_keeps_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clock for reading it stops at its end."""
    monkeypatch.setattr(unread, "UNREAD_FOR_S", 0.5)
    monkeypatch.setattr(unread, "LEAST_READ_BYTES", 1)
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(_large_heatmap())
        assert (await caller.answer()).status == 200
        await asyncio.sleep(1.3)  # time for two looks
        await caller.send(inspection())
        assert (await caller.answer()).status == 200


async def test_answers_that_hold_too_much_together_end_with_the_longest_unread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its caller loses the connection; the newest arrives, however large."""
    monkeypatch.setattr("app.http.server.UNREAD_ANSWERS", 0)
    async with (
        serving_until_it_ends(FakeRuntime()) as (server, _, port),
        calling(port) as first,
        calling(port) as second,
    ):
        await first.send(_large_heatmap())
        await until(lambda: _has_unread(server))
        assert "a connection ends" not in caplog.text
        await second.send(_large_heatmap())
        await until(lambda: "others needed the memory" in caplog.text)
        assert (await second.answer()).status == 200
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await first.answer()


async def test_some_large_answers_may_be_read_late(caplog: pytest.LogCaptureFixture) -> None:
    """What they may hold together goes by the largest body; two heat maps are not too much."""
    async with (
        serving_until_it_ends(FakeRuntime()) as (server, _, port),
        calling(port) as first,
        calling(port) as second,
    ):
        await first.send(_large_heatmap())
        await until(lambda: _has_unread(server))
        await second.send(_large_heatmap())
        assert (await second.answer()).status == 200
        assert (await first.answer()).status == 200
        assert "a connection ends" not in caplog.text


async def test_an_unread_answer_whose_caller_hangs_up_counts_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its memory is free already; the log blames nobody."""
    monkeypatch.setattr("app.http.server.UNREAD_ANSWERS", 0)
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port):
        for _ in range(2):
            async with calling(port) as leaver:
                await leaver.send(_large_heatmap())
                await until(lambda: _has_unread(server))
            await until(lambda: not server.server_state.connections)
    assert "a connection ends" not in caplog.text


async def test_a_request_behind_an_unread_answer_waits() -> None:
    """Its own answer would take memory beside the other one."""
    runtime = FakeRuntime()
    async with serving_until_it_ends(runtime) as (server, _, port), calling(port) as caller:
        await caller.send(_large_heatmap())
        await until(lambda: _has_unread(server))
        await caller.send(inspection().replace(b"/v1/detect", b"/v1/detect?product=second", 1))
        await asyncio.sleep(0.1)
        assert ["second"] not in runtime.batches
        for _ in range(2):
            assert (await caller.answer()).status == 200
        assert ["second"] in runtime.batches


async def test_an_idle_connection_keeps_nothing_of_its_last_request() -> None:
    """Its heat map, above all: lines keep their connections open."""
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port), calling(port) as caller:
        await caller.send(inspection())
        assert (await caller.answer()).status == 200
        (connection,) = server.server_state.connections
        assert isinstance(connection, limits.LimitedProtocol)
        await until(lambda: not connection.cycle.scope["state"])


@pytest.mark.parametrize(
    "sent",
    [inspection(LARGE, version="1.0"), inspection(LARGE, "Connection: close")],
    ids=["1.0", "close"],
)
async def test_a_refusal_reaches_a_caller_who_sends_all_before_it_reads(sent: bytes) -> None:
    """Closing at once would reset the line, and the caller would never learn why."""
    async with listening(FakeRuntime(), max_body_bytes=1000) as (_, port):

        def call() -> bytes:
            with socket.create_connection(("127.0.0.1", port), WAIT_S) as line:
                line.sendall(sent)
                return b"".join(iter(lambda: line.recv(2**16), b""))

        answer = await asyncio.to_thread(call)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


async def test_a_refused_caller_who_sends_on_and_on_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has been told that the connection ends; after some seconds it does."""
    monkeypatch.setattr(limits, "REST_WITHIN_S", 0.05)
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port), calling(port) as caller:
        await caller.refused_before_its_end(closing=True)
        assert await caller.rest() == b""
        await until(lambda: not server.server_state.connections)


def _large_heatmap() -> bytes:
    """Write a request whose answer is larger than the buffers of a connection."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    request = inspection(encode(noise, "JPEG"))
    return request.replace(b"/v1/detect", b"/v1/detect?heatmap_size=original", 1)


def _has_unread(server: Server) -> bool:
    return any(c.flow.write_paused for c in server.server_state.connections)  # type: ignore[union-attr]


async def _read_slowly(caller: Caller) -> tuple[int, int]:
    """Read an answer in forty shares; return its size and how much of it came."""
    head = await caller.until(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    read = 0
    for share in range(1, 41):
        await asyncio.sleep(0.05)
        while read < share * size // 40:
            some = await caller.some(share * size // 40 - read)
            if not some:
                return size, read
            read += len(some)
    return size, read


def _read_to_the_end(connection: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while some := connection.recv(2**16):
            found += some
    return found
