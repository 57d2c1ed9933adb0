"""One call over the network: sent again where that is safe, and never longer than its time.

Knows HTTP, retries and the clock; knows neither paths nor what answers mean.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from app.client.calls import Call, loaded
from app.client.errors import (
    LateError,
    SSVPError,
    UnavailableError,
    UnreachableError,
    UnreadableAnswerError,
    error_of,
)

A = TypeVar("A", bound=BaseModel)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
_NEVER_RECEIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Sender:
    """Sends calls to one service.

    Args:
        http: what carries them; without a limit of time of its own.
        timeout_s: longest time of a call, reading its pictures and retries included; some have their own.
        retries: most repetitions of a call.
    """

    def __init__(self, http: httpx.AsyncClient, timeout_s: float, retries: int) -> None:
        self._http, self._timeout_s, self._retries = http, timeout_s, retries

    async def ask(self, call: Call, kind: type[A]) -> A:
        """Read a call's pictures and send it until there is an answer or its time is over.

        Raises:
            SSVPError: one of its leaves.
            OSError: a picture cannot be read.
        """
        patient_s = max(self._timeout_s, call.takes_s)
        own_s = patient_s if call.timeout_s is None else call.timeout_s
        limit_s = min(own_s, call.deadline_s or own_s)
        end = time.monotonic() + limit_s
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await self._answered(await loaded(call), kind, end)
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"there was no answer within {limit_s:g} s"
            raise LateError(message, "call_deadline_passed") from None

    async def _answered(self, call: Call, kind: type[A], end: float) -> A:
        for pause_s in pauses(0 if call.once else self._retries):
            try:
                return _read(await self._send(call, end), call, kind)
            except SSVPError as error:
                wait_s = _wait_s(error, call, pause_s)
                if wait_s is None or time.monotonic() + wait_s >= end:
                    raise
            await asyncio.sleep(wait_s)
        return _read(await self._send(call, end), call, kind)

    async def _send(self, call: Call, end: float) -> httpx.Response:
        query = dict(call.query)
        if call.deadline_s is not None:  # the service gives up by itself when nobody waits any more
            query["deadline_ms"] = str(max(1, round(1000 * (end - time.monotonic()))))
        try:
            return await self._http.request(
                call.method,
                call.path,
                params=query,
                content=call.content,
                files=call.files,
                json=call.json,
            )
        except httpx.TransportError as error:
            message = f"{self._http.base_url} does not answer: {error or type(error).__name__}"
            received = not isinstance(error, _NEVER_RECEIVED)
            raise UnreachableError(message, received=received) from error
        except httpx.DecodingError as error:
            message = f"the answer of {self._http.base_url} is not compressed as it says: {error}"
            raise UnreadableAnswerError(message, "unreadable") from error


def check_url(url: str) -> None:
    """Check that a service can be called at a URL, before anything is sent.

    Raises:
        ValueError: the scheme or the host is missing, as in `line3:8080`, or the port is no number.
    """
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!a} is no URL: {error}") from None
    if read.scheme not in ("http", "https") or not read.host:
        raise ValueError(f"{url!a} is no URL of a service: http://line3:8080, for instance, is one")


def pauses(count: int, chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield longer and longer pauses, each shortened by chance, so that callers do not return all at once."""
    for i in range(count):
        yield min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**i) * (0.5 + chance() / 2)


def _wait_s(error: SSVPError, call: Call, pause_s: float) -> float | None:
    """Return how long to wait before the call is sent again; None: never."""
    if isinstance(error, UnreachableError):
        return pause_s if call.repeatable or not error.received else None
    if isinstance(error, UnavailableError) and call.repeatable:
        return max(pause_s, error.retry_after_s or 0.0)
    return None


def _read(response: httpx.Response, call: Call, kind: type[A]) -> A:
    status = response.status_code
    if status not in call.answers:
        raise error_of(status, _problem(response), _retry_after_s(response))
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        if status >= 400:  # a proxy's word, not the service's
            raise error_of(status, {}, _retry_after_s(response)) from None
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        message = f"the answer is no {kind.__name__}: {where}: {first['msg']}"
        raise UnreadableAnswerError(message, "unreadable", status) from None


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:  # a proxy's page
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after_s(response: httpx.Response) -> float | None:
    """Read `Retry-After` in seconds; the service sends no dates, and a proxy's date is passed over."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() else None
