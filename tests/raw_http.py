"""A caller on a raw socket: what is sent is exactly what the test wrote."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.conftest import WAIT_S
from tests.fakes import encode, grey

PNG = encode(grey(200))
CHUNKED = b"POST %s HTTP/1.1\r\nHost: line\r\nTransfer-Encoding: chunked\r\n\r\n"


def inspection(body: bytes = PNG, *headers: str, version: str = "1.1") -> bytes:
    """Write an inspection request."""
    head = [f"POST /v1/detect HTTP/{version}", "Host: line", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, object]:
        """Return the problem document."""
        found: dict[str, object] = json.loads(self.body)
        return found


class Caller:
    """One raw connection; no wait of it is endless."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send bytes; a server that has hung up is no error here."""
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self._writer.drain(), WAIT_S)

    async def answer(self) -> Answer:
        """Read one answer."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), WAIT_S)
        status, *lines = head.decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        body = await asyncio.wait_for(self._reader.readexactly(length), WAIT_S)
        return Answer(int(status.split()[1]), headers, body)

    async def refused_before_its_end(self, *, closing: bool = False) -> None:
        """Send a request that is answered 404 while more of it is to come.

        Args:
            closing: ask for the connection's end, too.
        """
        head = (
            CHUNKED.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost") if closing else CHUNKED
        )
        await self.send(head % b"/nowhere" + b"1\r\nx\r\n")
        assert (await self.answer()).status == 404

    async def until(self, end: bytes) -> bytes:
        """Read up to some bytes and with them."""
        return await asyncio.wait_for(self._reader.readuntil(end), WAIT_S)

    async def some(self, most: int) -> bytes:
        """Read what is there, up to a number of bytes."""
        return await asyncio.wait_for(self._reader.read(most), WAIT_S)

    async def rest(self) -> bytes:
        """Read until the server ends the connection."""
        return await asyncio.wait_for(self._reader.read(), WAIT_S)


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    """Open one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
