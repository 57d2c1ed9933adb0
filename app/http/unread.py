"""Answers that their callers have not read: how slowly one may be read, and how much all of them may hold.

Knows connections; knows neither requests nor what is answered.
"""

import asyncio
import logging
from asyncio import TimerHandle, Transport

logger = logging.getLogger(__name__)

UNREAD_FOR_S = 30.0
LEAST_READ_BYTES = 256 * 1024  # of an answer within that time, or its end


class UnreadAnswers:
    """All connections on which some of an answer is left, in the memory of this process.

    Args:
        limit_bytes: that they may hold together; one alone may hold more.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._watched: dict[Transport, TimerHandle] = {}  # the longest unread first

    def watch(self, connection: Transport) -> None:
        """Begin to watch a connection; where there is too much now, end those longest unread."""
        self._judge_later(connection)
        while len(self._watched) > 1 and self._held() > self._limit_bytes:
            longest = next(iter(self._watched))
            self._end(longest, "its answer was not read while others needed the memory")

    def forget(self, connection: Transport) -> None:
        """Watch a connection no more: its answer has been read, or it has ended."""
        timer = self._watched.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _held(self) -> int:
        return sum(connection.get_write_buffer_size() for connection in self._watched)

    def _judge_later(self, connection: Transport) -> None:
        left = connection.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._watched[connection] = loop.call_later(UNREAD_FOR_S, self._judge, connection, left)

    def _judge(self, connection: Transport, before: int) -> None:
        read = before - connection.get_write_buffer_size()
        if read < LEAST_READ_BYTES:
            self._end(connection, f"{read} bytes of its answer were read in {UNREAD_FOR_S:g} s")
        else:
            self._judge_later(connection)

    def _end(self, connection: Transport, reason: str) -> None:
        self.forget(connection)
        logger.warning("a connection ends: %s", reason)
        connection.abort()
