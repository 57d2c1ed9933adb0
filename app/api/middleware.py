"""Around every request: its id, its record, its log line. Pure ASGI, so that bodies stream through untouched.

Knows headers; knows neither routes nor images.
"""

import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Metrics
from app.records import RequestRecord, log_request

ARRIVED_AT = "arrived_at"  # in a request's state: `time.perf_counter()`, where the server notes it

_TRACEPARENT = re.compile(
    r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"
)  # W3C trace context, level 1
_ACCEPTABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")


def request_id(headers: Headers) -> str:
    """Return the caller's request id if it is printable ASCII without blanks, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex


def answer_headers(record: RequestRecord) -> dict[str, str]:
    """Return the headers that every answer carries."""
    stages = [f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in record.stages_s()]
    total = f"total;dur={1000 * record.elapsed_s:.1f}"
    return {"X-Request-ID": record.request_id, "Server-Timing": ", ".join([*stages, total])}


class RecordMiddleware:
    """Gives each request a `RequestRecord` in its state; counts and logs it when it has been answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection event; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        record = RequestRecord(
            request_id=request_id(headers),
            trace_id=trace[1] if trace else "",
            method=scope["method"],
            path=scope["path"],
            started_at=state.get(ARRIVED_AT, time.perf_counter()),
        )
        state["record"] = record

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                answered = MutableHeaders(scope=message)
                answered.update(answer_headers(record))
                if trace:
                    answered["traceparent"] = trace[0]
            await send(message)

        try:
            await self._app(scope, receive, send_recorded)
        finally:
            record.settle()
            self._metrics.observe_request(record)
            log_request(record)
