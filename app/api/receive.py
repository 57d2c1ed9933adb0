"""From a body to parameters and images, without holding up the event loop.

Knows how large a body may be taken apart on it; knows no endpoint.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.api.forms import ONE_INSPECTION, BodyLimits, Pairs, Received, receive
from app.api.query import query_pairs
from app.api.small_answers import Echo
from app.engine.formats import is_image
from app.records import RequestRecord

T = TypeVar("T")
_SMALL_BYTES = 2**19  # done in about a millisecond; a thread's turn takes longer on a busy machine


async def take_apart(
    request: Request, body: bytes, limits: BodyLimits = ONE_INSPECTION
) -> Received:
    """Take a body apart; from here on errors are answered in the caller's answer profile."""
    content_type = request.headers.get("content-type", "")
    query = query_pairs(request)
    size = 0 if is_image(body) else len(body)  # a raw picture is taken as it is
    received = await beside_loop(size, partial(receive, body, content_type, query, limits))
    note_echo(request, received.pairs)
    return received


def note_echo(request: Request, pairs: Pairs) -> Echo:
    """Note what a caller said about itself, for its answer and for the log."""
    record: RequestRecord = request.state.record
    request.state.echo = echo = Echo.of(pairs)
    record.part_id, record.sequence = echo.part_id, echo.sequence
    return echo


async def beside_loop(size_bytes: int, work: Callable[[], T]) -> T:
    """Run work on a thread if it is so large that others would wait for the event loop."""
    return work() if size_bytes < _SMALL_BYTES else await run_in_threadpool(work)
