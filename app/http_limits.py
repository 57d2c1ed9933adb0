"""Limits on what uvicorn itself does not bound: the length of headers and the time they take.

Knows bytes and connections; knows no request's meaning. Bodies are bounded where they are read.
"""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.schemas import Problem

MAX_HEADER_BYTES = 64 * 1024
HEADERS_WITHIN_S = 10.0


class LimitedProtocol(HttpToolsProtocol):
    """Refuses headers that are too long, cuts off those that trickle, answers malformed HTTP as a problem."""

    _begun = False  # a request's first byte has come, the end of its headers has not
    _header_bytes = 0
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Let a connection that never says anything go after the keep-alive time."""
        super().connection_made(transport)
        self._expect(self.config.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives before the headers end."""
        super().data_received(data)
        if self._begun:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, "headers_too_large", "Headers are too large")

    def on_message_begin(self) -> None:
        """Start the clock for a request's headers."""
        super().on_message_begin()
        self._begun, self._header_bytes = True, 0
        self._expect(HEADERS_WITHIN_S)

    def on_headers_complete(self) -> None:
        """Stop the clock."""
        self._begun = False
        self._expect(None)
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer what is no HTTP."""
        self._refuse(400, "http_malformed", "Request is not HTTP")

    def _expect(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._begun:
            self._refuse(408, "headers_timeout", "Headers did not arrive in time")
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, title: str) -> None:
        self._begun = False
        if self.transport.is_closing():
            return
        problem = Problem(
            type=f"urn:ssvp-inspect:problem:{code}",
            title=title,
            status=status,
            detail=title,
            error_type="request",
            code=code,
            request_id="",
        )
        body = problem.model_dump_json().encode()
        head = (
            f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
