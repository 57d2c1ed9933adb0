"""What the client sends again, when, and for how long."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from app.client import (
    AsyncSSVPClient,
    LateError,
    RequestRefusedError,
    ServiceFailedError,
    SSVPError,
    UnavailableError,
    UnreachableError,
    UnreadableAnswerError,
    sending,
)
from app.client.calls import CALIBRATE_S, calibrate_call
from app.client.sending import pauses
from app.engine.calibrator import LIMIT_S

pytestmark = pytest.mark.anyio
READY = b'{"status": "ready", "reason": ""}'
PRODUCTS = b'{"bundle": {"name": "a", "version": "1"}, "writable": true, "products": []}'
Step = httpx.Response | Exception


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses the client would have made; it makes none."""
    made: list[float] = []

    async def sleep(delay: float) -> None:
        made.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


class Script:
    """A service that answers as it was told, one step a request; the last step again and again."""

    def __init__(self, *steps: Step) -> None:
        self.steps, self.requests = list(steps), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step

    def client(self, **options: float) -> AsyncSSVPClient:
        """Return a client of it."""
        transport = httpx.MockTransport(self)
        return AsyncSSVPClient("http://ssvp", transport=transport, **options)  # type: ignore[arg-type]


def busy(status: int = 503, code: str = "queue_full", after: str | None = "2") -> httpx.Response:
    """Return a refusal of a moment."""
    headers = {} if after is None else {"Retry-After": after}
    return httpx.Response(status, json={"code": code, "detail": "later"}, headers=headers)


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_a_busy_service_is_asked_again_no_earlier_than_it_says(
    status: int, slept: list[float]
) -> None:
    """Then there is the answer."""
    script = Script(busy(status), busy(status), httpx.Response(200, content=PRODUCTS))
    async with script.client() as client:
        assert (await client.products()).writable
    assert slept == [2.0, 2.0]


async def test_without_retry_after_the_pauses_grow(slept: list[float]) -> None:
    """Each up to twice the one before, shortened by chance by half at most; a date is passed over."""
    script = Script(
        busy(after=None),
        busy(after="Wed, 21 Oct 2026 07:28:00 GMT"),
        httpx.Response(200, content=PRODUCTS),
    )
    async with script.client() as client:
        await client.products()
    assert [0.05 <= slept[0] <= 0.1, 0.1 <= slept[1] <= 0.2] == [True, True]
    assert list(pauses(8, lambda: 1.0))[-2:] == [5.0, 5.0]


async def test_a_service_that_stays_busy_is_asked_less_and_less_often(slept: list[float]) -> None:
    """It says one second each time; pauses that have grown beyond that are made as they are."""
    async with Script(busy(after="1")).client() as client:
        with pytest.raises(UnavailableError):
            await client.products()
    assert slept[0] == 1.0
    assert 2.5 <= slept[-1] <= 5.0


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (
            httpx.Response(404, json={"code": "product_unknown"}),
            RequestRefusedError,
            "product_unknown",
        ),
        (httpx.Response(500, json={"code": "internal"}), ServiceFailedError, "internal"),
        (httpx.Response(504, json={"code": "deadline_passed"}), LateError, "deadline_passed"),
        (httpx.Response(413, content=b"<html>"), RequestRefusedError, "http_413"),
        (httpx.Response(500, json=["what", "now"]), ServiceFailedError, "http_500"),
        (httpx.Response(302, content=b"log in"), UnreadableAnswerError, "http_302"),
    ],
    ids=["refused", "failed", "late", "a proxy's", "no document", "a portal's"],
)
async def test_what_would_end_the_same_is_asked_once(
    answer: httpx.Response, kind: type[SSVPError], code: str, slept: list[float]
) -> None:
    """A wrong request stays wrong; a verdict that came too late is no use later."""
    script = Script(answer)
    async with script.client() as client:
        with pytest.raises(kind) as caught:
            await client.products()
    assert (caught.value.code, caught.value.status) == (code, answer.status_code)
    assert (len(script.requests), slept) == (1, [])


async def test_an_inspection_is_repeated_after_a_broken_connection(slept: list[float]) -> None:
    """It changes nothing, so it does no harm if it was received."""
    script = Script(httpx.ReadError("reset"), httpx.ConnectError("refused"), httpx.Response(422))
    async with script.client() as client:
        with pytest.raises(RequestRefusedError):
            await client.detect(b"x")
    assert len(script.requests) == 3
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("step", "sent"),
    [
        (httpx.ConnectError("refused"), 9),
        (httpx.ReadError("reset"), 1),
        (httpx.WriteError("reset"), 1),
        (busy(), 1),
    ],
    ids=["not received", "perhaps received", "in part received", "answered"],
)
@pytest.mark.usefixtures("slept")
async def test_what_changes_something_is_never_received_twice(step: Step, sent: int) -> None:
    """A calibration and a rollback are sent again only where nobody was there."""
    for path in ("calibrate", "rollback"):
        script = Script(step)
        async with script.client() as client:
            calibrates = client.calibrate("nut", [b"x"])
            asked = calibrates if path == "calibrate" else client.rollback("nut")
            with pytest.raises((UnreachableError, UnavailableError)):
                await asked
            calibrates.close()
        assert len(script.requests) == sent


async def test_a_pause_beyond_the_calls_time_is_not_made(slept: list[float]) -> None:
    """The refusal is told at once, with what the service said."""
    async with Script(busy(after="60")).client(timeout_s=5) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.products()
    assert caught.value.retry_after_s == 60
    assert slept == []


async def test_repetitions_can_be_switched_off(slept: list[float]) -> None:
    """For who decides alone."""
    script = Script(busy())
    async with script.client(retries=0) as client:
        with pytest.raises(UnavailableError):
            await client.products()
    assert (len(script.requests), slept) == (1, [])


@pytest.mark.parametrize("client_s", [0.05, 30.0], ids=["the client's", "the call's"])
async def test_a_call_keeps_its_time_though_the_service_says_nothing(client_s: float) -> None:
    """The shorter of both limits ends it."""
    asked = asyncio.Event()

    async def silent(_: httpx.Request) -> httpx.Response:
        asked.set()
        await asyncio.Event().wait()
        return httpx.Response(200)

    transport = httpx.MockTransport(silent)
    async with AsyncSSVPClient("http://ssvp", timeout_s=client_s, transport=transport) as client:
        with pytest.raises(LateError) as caught:
            await client.detect(b"x", deadline_ms=50 if client_s > 1 else 60_000)
    assert asked.is_set()
    assert (caught.value.code, caught.value.status) == ("call_deadline_passed", None)


async def test_a_picture_that_is_not_read_in_time_ends_its_call(unread: Path) -> None:
    """Reading is part of every call that sends pictures; nothing was sent."""
    script = Script(httpx.Response(422))
    async with script.client(timeout_s=0.05) as client:
        for call in (
            client.detect(unread),
            client.detect_batch([b"x", unread]),
            client.calibrate("nut", [unread], timeout_s=0.05),
        ):
            with pytest.raises(LateError) as caught:
                await asyncio.wait_for(call, 10.0)
            assert caught.value.code == "call_deadline_passed"
    assert script.requests == []


async def test_a_calibration_has_a_time_of_its_own() -> None:
    """It takes minutes, where an inspection takes milliseconds; whoever waits less long says so."""
    assert calibrate_call("nut", [b"x"], None, {}).takes_s == CALIBRATE_S > LIMIT_S
    assert calibrate_call("nut", [], None, {"image_path": "*"}).takes_s == CALIBRATE_S
    assert calibrate_call("nut", [], [], {}).takes_s == 0
    sent: list[bytes] = []

    async def slow(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.query + await request.aread())
        await asyncio.sleep(0.2)
        return httpx.Response(409, json={"code": "bundle_changed"})

    transport = httpx.MockTransport(slow)
    async with AsyncSSVPClient("http://ssvp", timeout_s=0.01, transport=transport) as client:
        with pytest.raises(RequestRefusedError):
            await client.calibrate("nut", [b"x"])
        for impatient in (
            client.calibrate("nut", [b"x"], timeout_s=0.05),
            client.calibrate("nut", image_path="*", timeout_s=0.05),
            client.calibrate("nut", scores=[], timeout_s=0.05),
        ):
            with pytest.raises(LateError):
                await impatient
    assert len(sent) == 4
    assert not any(b"timeout" in body for body in sent)


async def test_the_service_is_told_what_is_left_of_the_deadline(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less after each pause; the deadline counts from the call, not from the try."""
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: 100 + sum(slept)))
    script = Script(busy(after="1"), busy(after="2"), httpx.Response(422))
    async with script.client() as client:
        with pytest.raises(RequestRefusedError):
            await client.detect(b"x", deadline_ms=5000)
    told = [request.url.params["deadline_ms"] for request in script.requests]
    assert told == ["5000", "4000", "2000"]


async def test_the_last_part_of_a_millisecond_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A deadline of 0 is none for the service: it would refuse what is only late."""
    moments = iter([100.0, 159.9998])
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    script = Script(httpx.Response(422))
    async with script.client() as client:
        with pytest.raises(RequestRefusedError):
            await client.detect(b"x", deadline_ms=60_000)
    assert [r.url.params["deadline_ms"] for r in script.requests] == ["1"]


async def test_readiness_is_asked_once(slept: list[float]) -> None:
    """Who waits for the service asks in a rhythm of one's own; 503 with its reason is an answer."""
    no = httpx.Response(503, json={"status": "starting", "reason": "the bundle is being loaded"})
    async with Script(no).client() as client:
        found = await client.ready()
        assert (found.ready, found.reason) == (False, "the bundle is being loaded")
    async with Script(httpx.ConnectError("refused")).client() as client:
        with pytest.raises(UnreachableError, match="refused"):
            await client.ready()
    async with Script(httpx.Response(503, content=b"<html>")).client() as client:
        with pytest.raises(UnavailableError):  # a proxy's word
            await client.ready()
    assert slept == []


async def test_a_key_is_sent_as_bearer() -> None:
    """Where one was given, and only there."""
    script = Script(httpx.Response(200, content=READY))
    transport = httpx.MockTransport(script)
    async with AsyncSSVPClient("http://ssvp", api_key="secret", transport=transport) as client:
        await client.ready()
    async with script.client() as client:
        await client.ready()
    assert [r.headers.get("Authorization") for r in script.requests] == ["Bearer secret", None]


@pytest.mark.parametrize(
    "url", ["line3:8080", "line3", "", "ftp://line3", "http://", "http://line3:port", "http:///v1"]
)
def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    """Not after eight repetitions, as 'does not answer'."""
    with pytest.raises(ValueError, match="is no URL"):
        AsyncSSVPClient(url)
