"""Limits on what uvicorn does not bound: headers, trailers, requests without end or number, unread answers.

Knows bytes and connections; knows no request's meaning. Bodies are bounded where they are read.
"""

import logging
import time
import uuid
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.middleware import ARRIVED_AT
from app.errors import (
    HeadersTimeoutError,
    HeadersTooLargeError,
    HttpMalformedError,
    QueueFullError,
    RequestError,
)
from app.http.refusals import record_refusal, refusal_answer
from app.http.unread import UnreadAnswers
from app.http.upgrades import UpgradeDeafParser
from app.metrics import Metrics
from app.records import RequestRecord

logger = logging.getLogger(__name__)

MAX_HEADER_BYTES = 64 * 1024  # of one request, trailers included
HEADERS_WITHIN_S = 10.0
MOST_WAITING = 16  # requests of one connection behind the one that is being answered
REST_WITHIN_S = 10.0  # of a request that has its answer already
LINGER_S = 2.0  # closing while a caller still sends would tear the answer from its hands
LINGER_BYTES = 2**20


class _AnswersTransport:
    """A connection as an answer sees it, which writes and closes; how it is closed is the protocol's matter."""

    def __init__(self, transport: Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing = transport.write, transport.is_closing
        self.close = close


class Phase(Enum):
    """What of a request is being read."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()  # trailers included


class LimitedProtocol(HttpToolsProtocol):
    """Refuses headers that are too long, cuts off those that trickle, answers malformed HTTP as a problem.

    Answers that are owed go out before the connection ends for what came after their requests, be it junk or
    one request too many; one that is the connection's last is not torn away from a caller who still sends.

    Args:
        metrics: counts refusals.
        unread: watches all connections' answers.
        uvicorns: what `HttpToolsProtocol` takes.
    """

    def __init__(self, metrics: Metrics, unread: UnreadAnswers, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.parser = UpgradeDeafParser(self)  # type: ignore[assignment]  # has its methods
        self.app = self._run_when_read
        self._metrics, self._unread = metrics, unread
        self._phase = Phase.NOTHING
        self._field_bytes = 0  # of this request's whole header and trailer fields
        self._stalled_bytes = 0  # came since the request last got on: the parser may hold them
        self._got_on = False
        self._deaf = False  # the connection is to end; what still comes is dropped
        self._said_goodbye = False  # it ends with the rest of this request, whose answer is out
        self._record = _new_record()
        self._running: RequestResponseCycle | None = None
        self._timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Let a connection that never says anything go after the keep-alive time."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that whatever is not read is told of
        self._expect(self.config.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no more; tell the running request, too, behind which uvicorn may know another one only."""
        self._expect(None)
        self._unread.forget(self.transport)
        if self._running is not None and not self._running.response_complete:
            _abandon(self._running)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch whether the caller reads its answer, of which some is left here."""
        super().pause_writing()
        self._unread.watch(self.transport)

    def resume_writing(self) -> None:
        """The caller has read all of it."""
        self._unread.forget(self.transport)
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what came; NULs after a body, which callers written in C send, are parsed by themselves."""
        text = data.rstrip(b"\0")
        self._read(text)
        self._read(data[len(text) :])

    def on_message_begin(self) -> None:
        """Start the clock for a request's headers, unless too many requests wait already."""
        if len(self.pipeline) == MOST_WAITING:
            self._end_after(self.pipeline[0][0], f"{MOST_WAITING} more wait for theirs")
            raise QueueFullError("too many requests on one connection")  # stops the parser
        super().on_message_begin()
        self._phase, self._field_bytes, self._got_on = Phase.HEADERS, 0, True
        self._record = _new_record()
        self._expect(HEADERS_WITHIN_S)

    def on_url(self, url: bytes) -> None:
        """Count the target as a header."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a field; trailers go no further."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        if self._phase is Phase.HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the clock; the request's own deadline runs from here on, even if it has to wait for another."""
        self.scope["state"][ARRIVED_AT] = time.perf_counter()
        super().on_headers_complete()
        cycle = self.cycle
        cycle.transport = _AnswersTransport(  # type: ignore[assignment]  # all that it uses
            self.transport, lambda: self._close_after(cycle)
        )
        self._phase, self._got_on = Phase.BODY, True
        self._expect(None)
        if not self.pipeline:
            self._running = self.cycle

    def on_body(self, body: bytes) -> None:
        """Note that the request gets on."""
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock of a request that was answered before its end."""
        self._phase, self._got_on = Phase.NOTHING, True
        self._expect(None)
        super().on_message_complete()
        if self._said_goodbye:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Start the clock for the rest of a request that was answered before its end."""
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()
        if self._phase is Phase.BODY and self.cycle.response_complete:
            self._expect(REST_WITHIN_S)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """End a connection whose caller speaks no HTTP, or too much of it."""
        too_large = self._field_bytes > MAX_HEADER_BYTES
        self._give_up(HeadersTooLargeError if too_large else HttpMalformedError)

    async def _run_when_read(self, scope: Any, *receive_send: Any) -> None:
        """Begin a request when the answer before it has left: a connection has one in memory, not two."""
        await self.flow.drain()
        try:
            await self.config.loaded_app(scope, *receive_send)
        finally:
            # An idle connection still has its last request, a heat map in it.
            scope["state"].clear()

    def _read(self, data: bytes) -> None:
        if self._deaf:
            self._drop(len(data))
        elif data:
            self._parse(data)

    def _drop(self, size: int) -> None:
        self._stalled_bytes += size
        if self._stalled_bytes > MAX_HEADER_BYTES + LINGER_BYTES:
            if self._timer is None:  # an answer is to go out first
                self.flow.pause_reading()
            else:
                self.transport.close()

    def _parse(self, data: bytes) -> None:
        self._got_on = False
        between = self._phase is Phase.NOTHING and self.cycle is not None
        if wanted := data.lstrip(b"\0") if between else data:
            super().data_received(wanted)
        self._stalled_bytes = 0 if self._got_on else self._stalled_bytes + len(data)
        if self._stalled_bytes > MAX_HEADER_BYTES:
            no_request = self._phase is Phase.NOTHING
            self._give_up(HttpMalformedError if no_request else HeadersTooLargeError)
        elif self._idle() and self._timer is None:  # line ends stopped uvicorn's own timer
            self._expect(self.config.timeout_keep_alive)

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > MAX_HEADER_BYTES:
            raise HeadersTooLargeError(f"more than {MAX_HEADER_BYTES} bytes")  # stops the parser

    def _idle(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self._phase is Phase.NOTHING and not self._deaf

    def _expect(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._phase is Phase.HEADERS and not self._deaf:
            self._give_up(HeadersTimeoutError)
        else:
            self.transport.close()

    def _give_up(self, refusal: type[RequestError]) -> None:
        """Read no more requests; refuse the one being read if nobody would take it for another's answer."""
        if self._deaf or self.transport.is_closing():
            return
        if self.pipeline and self._phase is Phase.BODY:  # not whole, will never run
            self.pipeline.popleft()
        owed = self.pipeline[0][0] if self.pipeline else self._running
        if owed is not None and _under_way(owed):
            self._end_after(owed, refusal.title)
            return
        self._go_deaf()
        if self._phase is Phase.BODY and self.cycle.response_complete:  # the application refused it
            self.transport.close()
        else:
            self._refuse(refusal)

    def _end_after(self, owed: RequestResponseCycle, reason: str) -> None:
        """Read no more requests; the connection ends with an answer that is owed, the last one."""
        logger.warning("the connection ends after its answer: %s", reason)
        self._go_deaf()
        owed.keep_alive, self.cycle = False, owed

    def _go_deaf(self) -> None:
        self._deaf = True
        self._expect(None)

    def _close_after(self, cycle: RequestResponseCycle) -> None:
        """End the connection behind an answer; who still sends its request is heard out or cut off."""
        if self._deaf and not self.pipeline and not self.transport.is_closing():
            self._linger()
            return
        heard = self._deaf or not cycle.more_body or not cycle.response_complete
        if heard or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self._said_goodbye = True
            self.transport.write_eof()

    def _refuse(self, refusal: type[RequestError]) -> None:
        if self._phase is Phase.BODY:  # its own record counts it
            _abandon(self.cycle)
        self._record.inspects = self._phase is not Phase.BODY
        self.transport.write(refusal_answer(refusal, self._record))
        record_refusal(self._record, self._metrics)
        self._linger()

    def _linger(self) -> None:
        """End the connection; for a while what still comes is read, so that no answer is torn away."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._expect(LINGER_S)
        else:
            self.transport.close()


def _abandon(cycle: RequestResponseCycle) -> None:
    """Let a request's work know that nobody waits for it any more."""
    cycle.disconnected = True
    cycle.message_event.set()


def _under_way(cycle: RequestResponseCycle) -> bool:
    """Tell whether a whole request waits for its answer, or an answer is half written."""
    return not cycle.response_complete and (cycle.response_started or not cycle.more_body)


def _new_record() -> RequestRecord:
    return RequestRecord(request_id=uuid.uuid4().hex, method="", path="")
