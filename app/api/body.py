"""Reading a body no further than its limit, and noticing a caller who leaves.

Knows the connection; knows nothing of what travels over it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from starlette.requests import Request

from app.errors import BodyTimeoutError, BodyTooLargeError, ClientGoneError, QueueFullError
from app.settings import Settings

T = TypeVar("T")


class BodyBudget:
    """How much all bodies may have together, those still arriving and those being inspected.

    Slow senders take bytes, no places; many places do not mean memory without end.

    Args:
        limit_bytes: of all bodies together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes, self._held = limit_bytes, 0

    def take(self, count: int) -> None:
        """Count bytes in.

        Raises:
            QueueFullError: there are too many; these are counted none the less.
        """
        self._held += count
        if self._held > self._limit_bytes:
            raise QueueFullError("too many large bodies are being received or inspected at once")

    def give_back(self, count: int) -> None:
        """Count bytes out: their request has its answer."""
        self._held -= count


class BodyRoom:
    """What one request has of the budget, until it is given back as a whole: at the end of its `with`."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget, self._held = budget, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give_back(self._held)
        self._held = 0

    def take(self, count: int) -> None:
        """Count bytes in.

        Raises:
            QueueFullError: see `BodyBudget.take`.
        """
        self._held += count
        self._budget.take(count)


async def read_body(request: Request, room: BodyRoom, settings: Settings) -> bytes:
    """Return the body.

    Raises:
        BodyTooLargeError: as soon as more than the settings allow is announced or has arrived.
        BodyTimeoutError: the body did not arrive whole in time; a dead sender would keep its connection.
        QueueFullError: too much is under way at once.
    """
    limit_bytes, timeout_s = settings.max_body_bytes, settings.body_timeout_s
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit_bytes:
        raise _too_large(limit_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                room.take(len(chunk))
                if len(body) > limit_bytes:
                    raise _too_large(limit_bytes)
    except TimeoutError:
        raise BodyTimeoutError(f"{len(body)} bytes arrived within {timeout_s:g} s") from None
    return bytes(body)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await work for a caller whose body has been read, but cancel it when the caller closes the connection.

    Raises:
        ClientGoneError: the caller left before the work was done.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        raise ClientGoneError("the connection was closed before the answer")
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(limit_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"at most {limit_bytes} bytes are accepted")
