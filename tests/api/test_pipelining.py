"""Over a real socket: callers who send on without waiting for their answers."""

import asyncio

import pytest

from app.http.limits import MOST_WAITING, LimitedProtocol
from tests.conftest import until
from tests.fakes import FakeRuntime
from tests.raw_http import calling, inspection
from tests.serving import listening, serving_until_it_ends

pytestmark = pytest.mark.anyio


async def test_a_request_that_waits_for_another_keeps_its_own_deadline() -> None:
    """It runs from its arrival: when the one before has taken too long, this one is late."""
    runtime = FakeRuntime()
    async with listening(runtime) as (_, port), calling(port) as caller:
        runtime.gate.clear()
        await caller.send(inspection() + _within(100))
        await until(lambda: runtime.calls == 2)  # the golden image was the first
        await asyncio.sleep(0.15)
        runtime.gate.set()
        assert (await caller.answer()).status == 200
        late = await caller.answer()
        assert late.problem["code"] == "deadline_passed"
        assert float(late.headers["server-timing"].split("dur=")[-1]) >= 100


async def test_a_caller_who_hangs_up_takes_its_running_request_along() -> None:
    """Its place is free at once, though another request had been sent behind it."""
    runtime = FakeRuntime()
    async with listening(runtime) as (engine, port):
        runtime.gate.clear()
        async with calling(port) as caller:
            await caller.send(_within(3_600_000) + inspection())
            await until(lambda: runtime.calls == 2)
            assert engine.snapshot().inflight == 1
        await until(lambda: engine.snapshot().inflight == 0)


async def test_a_caller_who_hangs_up_after_an_answer_takes_the_next_request_along() -> None:
    """That one runs by then; it is neither the first nor the last of those that were sent."""
    runtime = FakeRuntime()
    async with listening(runtime) as (engine, port):
        runtime.on_predict = runtime.gate.clear  # one batch passes
        async with calling(port) as caller:
            await caller.send(inspection() + _within(3_600_000) + inspection())
            await until(lambda: runtime.calls == 3)  # the golden image was the first
            assert engine.snapshot().inflight == 1
        await until(lambda: engine.snapshot().inflight == 0)


async def test_as_many_requests_as_may_wait_are_answered() -> None:
    """The connection goes on after them."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        for _ in range(2):
            await caller.send((1 + MOST_WAITING) * inspection())
            for _ in range(1 + MOST_WAITING):
                assert (await caller.answer()).status == 200


@pytest.mark.parametrize("more", [1, 5000], ids=["one", "many"])
async def test_requests_that_are_too_many_end_the_connection_behind_the_answers(
    more: int, caplog: pytest.LogCaptureFixture
) -> None:
    """None of them is kept; the last answer says that the connection ends, and all of them arrive."""
    runtime = FakeRuntime()
    async with serving_until_it_ends(runtime) as (server, _, port), calling(port) as caller:
        runtime.gate.clear()
        await caller.send((1 + MOST_WAITING) * inspection())
        await until(lambda: runtime.calls == 2)
        sending = asyncio.create_task(caller.send(more * inspection()))
        await until(lambda: "ends after its answer" in caplog.text)
        (connection,) = server.server_state.connections
        assert isinstance(connection, LimitedProtocol)
        assert len(connection.pipeline) == MOST_WAITING
        runtime.gate.set()
        for left in reversed(range(1 + MOST_WAITING)):
            answer = await caller.answer()
            assert (answer.status, "connection" in answer.headers) == (200, not left)
        await sending
        assert await caller.rest() == b""


def _within(deadline_ms: int) -> bytes:
    return inspection().replace(b"/v1/detect", b"/v1/detect?deadline_ms=%d" % deadline_ms, 1)
