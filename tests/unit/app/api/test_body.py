"""Reading a body, its room, and callers who leave."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from app.api.body import BodyBudget, BodyRoom, read_body, unless_gone
from app.errors import BodyTooLargeError, QueueFullError
from app.settings import Settings

pytestmark = pytest.mark.anyio


def test_room_that_was_refused_is_given_back_too() -> None:
    """A refused upload must not take memory from everybody for ever."""
    budget = BodyBudget(10)
    with pytest.raises(QueueFullError), BodyRoom(budget) as room:
        room.take(11)
    with BodyRoom(budget) as room:
        room.take(10)


async def test_a_body_announced_too_large_is_refused_unread() -> None:
    """Its caller need not send what nobody will take."""

    async def receive() -> Message:
        raise AssertionError("read")

    request = Request({"type": "http", "headers": [(b"content-length", b"1001")]}, receive)
    with pytest.raises(BodyTooLargeError), BodyRoom(BodyBudget(10_000)) as room:
        await read_body(request, room, Settings(max_body_bytes=1000))


async def test_nothing_listens_on_once_the_work_is_done() -> None:
    """Or the next request of the connection would be watched by the last one's task."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("woken")

    async def work() -> int:
        return 17

    before = asyncio.all_tasks()
    assert await unless_gone(Request({"type": "http"}, receive), work()) == 17
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
