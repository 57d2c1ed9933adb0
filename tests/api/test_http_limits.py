"""Over a real socket: headers, trailers and bodies without end, and junk beside good requests."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator

import pytest

from app.http import limits
from app.http.limits import MAX_HEADER_BYTES, LimitedProtocol
from tests.conftest import until
from tests.fakes import FakeRuntime, encode, grey
from tests.raw_http import CHUNKED, PNG, calling, inspection
from tests.serving import listening, serving_until_it_ends

pytestmark = pytest.mark.anyio

LARGEST_READ = 256 * 1024  # of asyncio
ENDS_AFTER = "ends after its answer"


def endless(start: bytes, piece: bytes) -> bytes:
    """Return a little more than a server may read of something that never ends."""
    size = MAX_HEADER_BYTES + LARGEST_READ
    return start + piece * (size // len(piece))


def log_lines(caplog: pytest.LogCaptureFixture) -> Iterator[dict[str, object]]:
    """Yield the fields of each request's log line."""
    for record in caplog.records:
        if record.name == "app.records":
            yield vars(record)["fields"]


FLOODS = pytest.mark.parametrize(
    ("start", "piece"),
    [(b"0\r\n", b"a:b\r\n"), (b"0\r\na: ", b"x"), (b"1;", b"x")],
    ids=["trailers", "one trailer", "chunk extension"],
)


@FLOODS
async def test_a_flood_beside_the_body_ends_the_request(start: bytes, piece: bytes) -> None:
    """Trailers and chunk extensions count as headers: 431 after the limit and one read."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(CHUNKED % b"/v1/detect")
        await caller.send(endless(start, piece))
        assert (await caller.answer()).problem["code"] == "headers_too_large"
        assert await caller.rest() == b""


@FLOODS
async def test_a_flood_after_the_answer_ends_the_connection(start: bytes, piece: bytes) -> None:
    """A request that was refused early gets no second answer and no more room."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(CHUNKED % b"/nowhere")
        assert (await caller.answer()).status == 404
        await caller.send(endless(start, piece))
        with contextlib.suppress(ConnectionResetError):  # what was not read resets the line
            assert await caller.rest() == b""


async def test_a_flood_after_a_refusal_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in which a caller may read why is not there to send on."""
    monkeypatch.setattr(limits, "LINGER_S", 600)
    async with serving_until_it_ends(FakeRuntime()) as (server, _, port), calling(port) as caller:
        await caller.send(b"no HTTP\r\n\r\n")
        assert (await caller.answer()).status == 400
        await caller.send(b"x" * 2**19)
        await asyncio.sleep(0.1)
        assert server.server_state.connections  # who is sending still may read why
        await caller.send(b"x" * (2**20 + 2 * LARGEST_READ))
        await until(lambda: not server.server_state.connections)


async def test_a_flood_behind_a_request_is_not_read_for_ever() -> None:
    """It is dropped for a while, then left where it is until the answer is out."""
    runtime = FakeRuntime()
    async with serving_until_it_ends(runtime) as (server, _, port), calling(port) as caller:
        runtime.gate.clear()
        await caller.send(inspection())
        await until(lambda: runtime.calls == 2)
        (connection,) = server.server_state.connections
        assert isinstance(connection, LimitedProtocol)
        flooding = asyncio.create_task(caller.send(b"x" * (16 * limits.LINGER_BYTES)))
        await until(lambda: connection.flow.read_paused)
        runtime.gate.set()
        await flooding
        await until(lambda: not server.server_state.connections)


async def test_trailers_of_a_good_request_are_dropped() -> None:
    """They reach nobody; the connection goes on."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        body = b"%x\r\n%s\r\n0\r\nX-Sum: 1\r\nX-Request-ID: late\r\n\r\n" % (len(PNG), PNG)
        for _ in range(2):
            await caller.send(CHUNKED % b"/v1/detect" + body)
            answer = await caller.answer()
            assert answer.status == 200
            assert answer.headers["x-request-id"] != "late"


async def test_a_body_that_trickles_after_its_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its connection ends after some seconds."""
    monkeypatch.setattr(limits, "REST_WITHIN_S", 0.05)
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.refused_before_its_end()
        assert await caller.rest() == b""


async def test_a_body_that_ends_after_its_answer_costs_no_connection() -> None:
    """The rest of a refused upload is read and dropped; the next request is served."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.refused_before_its_end()
        await caller.send(b"0\r\n\r\n" + inspection())
        assert (await caller.answer()).status == 200


async def test_the_end_of_a_large_body_is_no_header() -> None:
    """A read that holds much of one request's body and the next one's first bytes hurts neither."""
    picture = encode(grey(200, 640, 480), "BMP")
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        second = inspection()
        await caller.send(inspection(picture) + second[:30])
        assert (await caller.answer()).status == 200
        await caller.send(second[30:])
        assert (await caller.answer()).status == 200


@pytest.mark.parametrize(
    "junk",
    [b"\x16\x03\x01 this is TLS", b"GET / HTTP/1.1\r\nX: " + b"x" * 400_000, b"GET / HT"],
    ids=["no HTTP", "too long", "too slow"],
)
async def test_junk_behind_a_request_does_not_spoil_its_answer(
    junk: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request gets its verdict, then the connection ends; the junk gets no answer."""
    monkeypatch.setattr(limits, "HEADERS_WITHIN_S", 0.5)
    runtime = FakeRuntime()
    async with listening(runtime) as (_, port), calling(port) as caller:
        runtime.gate.clear()
        await caller.send(inspection() + junk[:1000])
        await until(lambda: runtime.calls == 2)  # the golden image was the first
        await caller.send(junk[1000:])
        await until(lambda: ENDS_AFTER in caplog.text)
        runtime.gate.set()
        assert (await caller.answer()).status == 200
        assert await caller.rest() == b""


async def test_junk_behind_two_requests_spoils_neither() -> None:
    """The second, which waits for the first, is answered too."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(inspection() + inspection() + b"\x16\x03\x01 this is TLS")
        for _ in range(2):
            assert (await caller.answer()).status == 200
        assert await caller.rest() == b""


@pytest.mark.parametrize("whole", [1, 2])
async def test_a_broken_body_does_not_spoil_the_answers_before_it(
    whole: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The broken request is dropped before it runs, and none that waits ahead of it."""
    runtime = FakeRuntime()
    async with listening(runtime) as (engine, port), calling(port) as caller:
        runtime.gate.clear()
        await caller.send(whole * inspection() + CHUNKED % b"/v1/detect" + b"no number\r\n")
        await until(lambda: ENDS_AFTER in caplog.text and runtime.calls == 2)
        runtime.gate.set()
        for _ in range(whole):
            assert (await caller.answer()).status == 200
        assert await caller.rest() == b""
        assert engine.snapshot().inflight == 0


async def test_a_broken_body_is_answered_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application's own request ends at once, as its caller's leaving; the caller reads why."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(limits, "LINGER_S", 600)
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(CHUNKED % b"/v1/detect" + b"no number\r\n")
        assert (await caller.answer()).problem["code"] == "http_malformed"
        assert await caller.rest() == b""
        await until(lambda: "client_gone" in [line["outcome"] for line in log_lines(caplog)])
        metrics = await _metrics(port)
        assert 'ssvp_requests_total{outcome="client_gone"} 1.0' in metrics
        assert 'ssvp_requests_total{outcome="http_malformed"} 0.0' in metrics


@pytest.mark.parametrize("stray", [b"\0", b"\0\0\0", b"\r\n"], ids=["NUL", "NULs", "line end"])
async def test_stray_bytes_after_a_body_are_harmless(stray: bytes) -> None:
    """Callers written in C send them, with the body or after it; the line keeps its connection."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        for _ in range(2):
            await caller.send(inspection() + stray)
            assert (await caller.answer()).status == 200
            await caller.send(stray)
        zeros = encode(grey(0), "BMP")
        await caller.send(inspection(zeros) + stray)
        assert json.loads((await caller.answer()).body)["score"] == 0.0


async def test_a_body_of_zeros_may_end_anywhere() -> None:
    """Its NULs are the image's own, however the body is cut."""
    request = inspection(encode(grey(0, 8, 8), "BMP"))
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        for cut in range(len(request) - 12, len(request)):
            await caller.send(request[:cut])
            await asyncio.sleep(0.001)
            await caller.send(request[cut:])
            assert (await caller.answer()).status == 200


async def test_stray_bytes_without_end_are_no_request() -> None:
    """Nothing but NULs is dropped for a while only."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(inspection())
        assert (await caller.answer()).status == 200
        await caller.send(endless(b"", b"\0"))
        assert (await caller.answer()).status == 400
        assert await caller.rest() == b""


@pytest.mark.parametrize(
    "fields",
    [b"X-Long: " + b"x" * 120_000, b"\r\n".join([b"X-Many: 1"] * 12_000)],
    ids=["one", "many"],
)
async def test_long_headers_in_one_write_are_refused(
    fields: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """431 with an id, the time and a log line; counted under its own name."""
    caplog.set_level(logging.INFO)
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(b"GET /livez HTTP/1.1\r\nHost: line\r\n" + fields + b"\r\n\r\n")
        answer = await caller.answer()
        assert (answer.status, answer.headers["connection"]) == (431, "close")
        assert answer.problem["request_id"] == answer.headers["x-request-id"] != ""
        assert answer.headers["server-timing"].startswith("total;dur=")
        assert await caller.rest() == b""
        line = next(line for line in log_lines(caplog) if line["outcome"] == "headers_too_large")
        assert (line["status"], line["request_id"]) == (431, answer.headers["x-request-id"])
        assert 'ssvp_requests_total{outcome="headers_too_large"} 1.0' in await _metrics(port)


async def test_a_long_target_is_refused() -> None:
    """It counts like a header."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(b"GET /livez?" + b"x" * 120_000 + b" HTTP/1.1\r\n\r\n")
        assert (await caller.answer()).status == 431


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)], ids=["most", "one more"])
async def test_headers_may_have_64_kib_and_no_byte_more(more: int, status: int) -> None:
    """The target, and of each field its name, its value, colon, blank and line end."""
    lines = [b"Host: line", *[b"X-%04d: 1" % n for n in range(4000)]]
    left = MAX_HEADER_BYTES - len(b"/livez") - sum(len(line) + 2 for line in lines)
    lines.append(b"X: " + b"x" * (left + more - len(b"X: \r\n")))
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(b"\r\n".join([b"GET /livez HTTP/1.1", *lines, b"", b""]))
        assert (await caller.answer()).status == status


async def test_headers_in_many_writes_are_fine() -> None:
    """Neither small pieces nor half the allowed length is a reason to refuse; each request counts anew."""
    request = inspection(PNG, *[f"X-{i}: {'x' * 1000}" for i in range(40)])
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        for _ in range(2):
            for at in range(0, len(request), 997):
                await caller.send(request[at : at + 997])
                await asyncio.sleep(0)
            assert (await caller.answer()).status == 200


async def test_callers_who_want_no_second_request_have_their_way() -> None:
    """HTTP/1.0 and `Connection: close` are answered, then the connection ends."""
    async with listening(FakeRuntime()) as (_, port):
        for request in (inspection(version="1.0"), inspection(PNG, "Connection: close")):
            async with calling(port) as caller:
                await caller.send(request + b"\r\n\0")
                assert (await caller.answer()).status == 200
                assert await caller.rest() == b""


async def _metrics(port: int) -> str:
    async with calling(port) as caller:
        await caller.send(b"GET /metrics HTTP/1.1\r\nHost: line\r\n\r\n")
        return (await caller.answer()).body.decode()
