"""Habits of callers in machines, byte by byte over a socket: what they send, and the verdict they get."""

import asyncio
import json

import pytest

from tests.fakes import FakeRuntime, encode, grey
from tests.raw_http import Answer, Caller, calling
from tests.serving import listening

pytestmark = pytest.mark.anyio

PNG = encode(grey(200))
H2C = (  # Java's HTTP client, with its first request; Ignition's too
    "Connection: Upgrade, HTTP2-Settings",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    "Upgrade: h2c",
)


def post(body: bytes, *headers: str, version: str = "1.1", query: str = "profile=line") -> bytes:
    """Write a request with nothing in it but these headers."""
    lines = [f"POST /v1/detect?{query} HTTP/{version}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def verdict(answer: Answer, part: str = "") -> None:
    """Check that it is the verdict on `PNG` for that part, with its length."""
    assert (answer.status, answer.body) == (200, f"1;0.7843;0.5000;0;{part}\r\n".encode())
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["content-type"] == "text/plain; charset=us-ascii"


@pytest.mark.parametrize(
    "request_",
    [
        post(PNG, version="1.0"),
        post(PNG, "User-Agent: PLC", "Accept: text/html", version="1.0"),
        post(PNG, "Host: 192.168.0.50:8080", "Connection: close"),
        post(PNG, "Host: line", "Connection: close", "Content-Type: text/html;charset=UTF-8"),
        post(PNG, "Host: line", "connection:Close", "accept:text/html", "Content-Type:"),
    ],
    ids=["1.0 bare", "1.0 wants HTML", "1.1 closes", "1.1 says HTML", "1.1 without blanks"],
)
async def test_who_closes_gets_the_verdict_then_the_end(request_: bytes) -> None:
    """No Host, no content type or a wrong one, HTML wanted: the bytes decide; then the connection ends."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(request_)
        answer = await caller.answer()
        verdict(answer)
        assert answer.headers["connection"] == "close"
        assert await caller.rest() == b""


@pytest.mark.parametrize(
    "headers",
    [
        ("Host: line",),
        ("Host: line", "Accept: text/html", "Content-Type: text/html;charset=UTF-8"),
        ("Host: line", "Connection: keep-alive", "Keep-Alive: timeout=5"),
        ("Host: line", "Content-Type: application/x-www-form-urlencoded"),
        ("Host: line", "Content-Type: multipart/form-data"),
        ("Host: line", *H2C),
        ("Host: line", "Connection: Upgrade", "Upgrade: websocket"),
    ],
    ids=["bare", "HTML", "keep-alive", "form", "multipart", "offers HTTP/2", "offers a web socket"],
)
async def test_two_parts_on_one_connection(headers: tuple[str, ...]) -> None:
    """Each has its own verdict, one after the other."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        for part in ("A-1", "A-2"):
            await caller.send(post(PNG, *headers, query=f"profile=line&part_id={part}"))
            verdict(await caller.answer(), part)


@pytest.mark.parametrize("headers", [("Host: line",), ("Host: line", *H2C)], ids=["plain", "h2c"])
async def test_requests_sent_at_once_are_answered_in_order(headers: tuple[str, ...]) -> None:
    """Three in one segment, with and without a body."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        first = post(PNG, *headers, query="profile=line&part_id=A-1")
        empty = post(b"", *headers, query="profile=line&part_id=A-2")
        last = post(PNG, *headers, query="profile=line&part_id=A-3")
        await caller.send(first + empty + last)
        verdict(await caller.answer(), "A-1")
        assert (await caller.answer()).body == b"2;0.0000;0.0000;0;A-2\r\n"
        verdict(await caller.answer(), "A-3")


async def _in_pieces(caller: Caller, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        await caller.send(data[start : start + size])
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "request_",
    [
        post(PNG, "Host: line"),
        post(PNG, "Host: line", *H2C),
        post(PNG, version="1.0"),
    ],
    ids=["1.1", "offers HTTP/2", "1.0"],
)
@pytest.mark.parametrize("size", [1, 7])
async def test_slow_writes_arrive_whole(request_: bytes, size: int) -> None:
    """One byte at a time, as a serial gateway sends; and in odd pieces, headers and body in one."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await _in_pieces(caller, request_, size)
        verdict(await caller.answer())


async def test_a_pause_between_headers_and_body_is_waited_for() -> None:
    """Many blocks send them with two calls."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        for headers in (("Host: line",), ("Host: line", *H2C)):
            request = post(PNG, *headers)
            head = request[: -len(PNG)]
            await caller.send(head)
            await asyncio.sleep(0.05)
            await caller.send(PNG)
            verdict(await caller.answer())


async def test_a_chunked_body_survives_an_offer_of_http2() -> None:
    """As Java sends a body whose length it does not know."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        head = ["POST /v1/detect?profile=line HTTP/1.1", "Host: line", *H2C]
        lines = "\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode()
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PNG), PNG)
        for _ in range(2):
            await caller.send(lines + body)
            verdict(await caller.answer())


async def test_an_offer_with_a_wrong_end_is_still_no_http() -> None:
    """What follows the body must be a request again."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(post(PNG, "Host: line", *H2C) + b"what is this\r\n\r\n")
        verdict(await caller.answer())
        rest = await caller.rest()
        assert not rest or b" 400 " in rest.split(b"\r\n")[0]


async def test_who_waits_for_100_is_told_to_go_on() -> None:
    """curl asks so before a large body, and so does .NET where it is told to."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        request = post(PNG, "Host: line", "Expect: 100-continue")
        await caller.send(request[: -len(PNG)])
        assert (await caller.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        await caller.send(PNG)
        verdict(await caller.answer())


async def test_twincats_json_under_the_name_of_html_is_read() -> None:
    """FB_IotHttpRequest says text/html unless told otherwise; the answer is small JSON."""
    body = json.dumps({"image": "", "product": "metal nut", "part_id": "A-17"}).encode()
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        content_type = "Content-Type: text/html;charset=UTF-8"
        await caller.send(post(body, "Host: line", content_type, query="profile=plc"))
        found = json.loads((await caller.answer()).body)
        assert (found["result_code"], found["part_id"]) == (2, "A-17")


async def test_the_answer_is_one_that_small_parsers_read() -> None:
    """A length, lines that end in CR LF, a reason after the status, no blank at the end of a field."""
    async with listening(FakeRuntime()) as (_, port), calling(port) as caller:
        await caller.send(post(PNG, "Host: line"))
        head = await caller.until(b"\r\n\r\n")
    status, *fields = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert all(field == field.strip() and ": " in field for field in fields)
    assert any(field == "content-length: 20" for field in fields)
