"""Over a real socket: the clocks of a connection stop where they should, and run where they should."""

import asyncio
import time

import pytest

from app.http import limits
from tests.conftest import WAIT_S, until
from tests.fakes import FakeRuntime
from tests.raw_http import calling, inspection
from tests.serving import listening, serving_until_it_ends

pytestmark = pytest.mark.anyio

PAST_S = 0.3  # what a test waits for, so that a clock that should have stopped would have run out


async def test_a_body_may_take_longer_than_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The headers' clock stops with their end."""
    monkeypatch.setattr(limits, "HEADERS_WITHIN_S", 0.2)
    request = inspection()
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(request[:-20])
        await asyncio.sleep(PAST_S)
        await caller.send(request[-20:])
        assert (await caller.answer()).status == 200


async def test_a_body_behind_another_requests_answer_has_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no rest of the request that was answered."""
    monkeypatch.setattr(limits, "REST_WITHIN_S", 0.05)
    request = inspection()
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(request + request[:-20])
        assert (await caller.answer()).status == 200
        await asyncio.sleep(PAST_S)
        await caller.send(request[-20:])
        assert (await caller.answer()).status == 200


async def test_a_connection_outlives_the_rest_of_a_refused_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once that has come, the line may pause before its next part."""
    monkeypatch.setattr(limits, "REST_WITHIN_S", 0.5)
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.refused_before_its_end()
        await caller.send(b"0\r\n\r\n")
        await asyncio.sleep(0.5 + PAST_S)
        await caller.send(inspection())
        assert (await caller.answer()).status == 200


async def test_a_connection_that_was_to_end_does_so_with_the_rest_of_its_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At once: a refused caller with manners holds no connection."""
    monkeypatch.setattr(limits, "REST_WITHIN_S", 600)
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port), calling(port) as caller:
        await caller.refused_before_its_end(closing=True)
        await caller.send(b"0\r\n\r\n")
        await until(lambda: not server.server_state.connections)


async def test_a_verdict_may_take_longer_than_the_keep_alive_time() -> None:
    """A connection whose caller waits for its answer is not idle."""
    runtime = FakeRuntime()
    async with listening(runtime, keep_alive_s=1) as (_, port), calling(port) as caller:
        runtime.gate.clear()
        await caller.send(inspection())
        await until(lambda: runtime.calls == 2)  # the golden image was the first
        await asyncio.sleep(1 + PAST_S)
        runtime.gate.set()
        assert (await caller.answer()).status == 200


async def test_a_caller_whose_headers_were_too_slow_holds_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has some time to read why, though it never hangs up."""
    monkeypatch.setattr(limits, "HEADERS_WITHIN_S", 0.05)
    monkeypatch.setattr(limits, "LINGER_S", 0.05)
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port), calling(port) as caller:
        await caller.send(b"GET / HT")
        assert (await caller.answer()).status == 408
        await until(lambda: not server.server_state.connections)


async def test_a_refused_caller_has_time_to_read_why() -> None:
    """Were it hung up on while it still sends, the answer would be lost."""
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port), calling(port) as caller:
        await caller.send(b"no HTTP\r\n\r\n")
        assert (await caller.answer()).status == 400
        await asyncio.sleep(PAST_S)
        assert server.server_state.connections


async def test_line_ends_do_not_keep_a_connection_for_ever() -> None:
    """The keep-alive time runs on."""
    async with (
        serving_until_it_ends(FakeRuntime(), keep_alive_s=1) as (server, _, port),
        calling(port) as caller,
    ):
        await caller.send(inspection())
        assert (await caller.answer()).status == 200

        async def send_line_ends() -> None:
            while server.server_state.connections:
                await caller.send(b"\r\n")
                await asyncio.sleep(0.1)

        await asyncio.wait_for(send_line_ends(), WAIT_S)


async def test_a_refusals_time_runs_from_its_own_request() -> None:
    """Not from the opening of a connection that waited for its first part."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await asyncio.sleep(0.2)
        sent_at = time.perf_counter()
        await caller.send(b"GET /livez?" + b"x" * 120_000 + b" HTTP/1.1\r\n\r\n")
        took = (await caller.answer()).headers["server-timing"]
        assert float(took.removeprefix("total;dur=")) <= 1000 * (time.perf_counter() - sent_at)
