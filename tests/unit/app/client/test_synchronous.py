"""The client for programs without an event loop: many threads, one client, and its end."""

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.client import LateError, RequestRefusedError, SSVPClient, UnreachableError
from tests.fakes import FakeRuntime, encode, grey
from tests.serving import listening

pytestmark = pytest.mark.anyio


async def _in_thread(work: Callable[[SSVPClient], object], port: int) -> object:
    def run() -> object:
        with SSVPClient(f"http://127.0.0.1:{port}") as client:
            return work(client)

    return await asyncio.to_thread(run)


async def test_a_program_without_a_loop_inspects_over_a_socket() -> None:
    """From many threads with one client, each with its own result; nothing is left behind."""
    levels = list(range(40, 240, 10))
    found: dict[int, str | None] = {}

    def work(client: SSVPClient) -> None:
        def one(level: int) -> None:
            found[level] = client.detect(encode(grey(level)), part_id=str(level)).part_id

        threads = [threading.Thread(target=one, args=(level,)) for level in levels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.ready().ready
        assert client.products().products == ()
        with pytest.raises(RequestRefusedError, match="no profile"):
            client.product("nut")
        with pytest.raises(RequestRefusedError):
            client.rollback("nut")
        with pytest.raises(RequestRefusedError):
            client.calibrate("nut", [encode(grey(9))])
        assert [r.ok for r in client.detect_batch([encode(grey(9)), encode(grey(250))])] == [
            True,
            False,
        ]

    async with listening(FakeRuntime()) as (_, port):
        await _in_thread(work, port)
    assert found == {level: str(level) for level in levels}
    assert not [thread for thread in threading.enumerate() if thread.name == "ssvp-client"]


def test_a_closed_client_says_so() -> None:
    """Twice closed does no harm; a call afterwards is a mistake."""
    client = SSVPClient()
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.ready()


def test_a_call_under_way_ends_when_its_client_is_closed() -> None:
    """By another thread: whoever waits is told at once, long before its time is over."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        client = SSVPClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=600.0)
        told: list[BaseException] = []

        def call() -> None:
            try:
                client.detect(b"x")
            except RuntimeError as error:
                told.append(error)

        caller = threading.Thread(target=call, daemon=True)
        caller.start()
        connection, _ = silent.accept()
        client.close()
        caller.join(10.0)
        connection.close()
        assert not caller.is_alive()
        assert "closed during the call" in str(told[0])


def test_a_picture_on_a_dead_share_ends_in_time(unread: Path) -> None:
    """Whoever asked is told, and the client can be closed, though the thread that reads stays behind."""
    with SSVPClient() as client, pytest.raises(LateError):
        client.detect(unread, deadline_ms=50)
    assert "ssvp-picture" in [thread.name for thread in threading.enumerate()]


def test_nobody_there_is_told_in_one_line() -> None:
    """With the address that was asked."""
    address = "127.0.0.1:9"  # the discard port
    with (
        SSVPClient(f"http://{address}", retries=1) as client,
        pytest.raises(UnreachableError, match=address),
    ):
        client.detect(b"x")
