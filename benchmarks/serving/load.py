"""The load: callers that wait for their answers, and callers that come when they come.

Knows HTTP/1.1 as far as a caller needs it and clocks; knows no server's format. It must cost little, for it
shares the machine with what it measures: `python -m benchmarks.serving.load` measures it against a server that
does nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

from benchmarks.serving.figures import Outcome, arrivals, summarise

PATIENCE_S = 20.0  # beyond it a caller gives up; its request has long been late
_READ_BYTES = 2**20


@dataclass(frozen=True)
class Answer:
    """Status and body of one response."""

    status: int
    body: bytes


class Connection:
    """One kept-alive connection, opened when it is first needed and again after an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: bytes) -> Answer:
        """Send a request, return its response; status 0 where there is none."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._call(request)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self.close()
            return Answer(0, b"")

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _call(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, limit=_READ_BYTES
            )
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        body = await _body(reader, headers)
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(lines[0].split()[1]), body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(pieces)


async def closed_loop(
    port: int, requests: Sequence[bytes], clients: int, seconds: float
) -> list[Outcome]:
    """Let so many clients call, each as soon as it has its answer; those under way at the end are finished."""
    began, outcomes, bodies = time.perf_counter(), list[Outcome](), cycle(requests)

    async def client() -> None:
        connection = Connection(port)
        while (due_s := time.perf_counter() - began) < seconds:
            answer = await connection.call(next(bodies))
            outcomes.append(Outcome(due_s, time.perf_counter() - began, answer.status))
            if answer.status != 200:
                await asyncio.sleep(0.05)  # a refusal must not become a busy loop
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return outcomes


async def open_loop(
    port: int, requests: Sequence[bytes], rate: float, seconds: float, seed: int
) -> list[Outcome]:
    """Send requests when they are due, whatever became of earlier ones; returns when all are answered.

    Latency counts from the due time, so a late start of a request is in it.
    """
    due, bodies, idle = arrivals(rate, seconds, seed), cycle(requests), list[Connection]()
    began = time.perf_counter()

    async def one(due_s: float, request: bytes) -> Outcome:
        connection = idle.pop() if idle else Connection(port)
        answer = await connection.call(request)
        idle.append(connection)
        return Outcome(due_s, time.perf_counter() - began, answer.status)

    tasks = []
    for due_s in due:
        await asyncio.sleep(max(0.0, began + due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due_s, next(bodies))))
    outcomes = list(await asyncio.gather(*tasks))
    for connection in idle:
        connection.close()
    return outcomes


async def _measure_itself(answer_bytes: int, seconds: float) -> None:
    """Print what the generator reaches against a server that only reads and writes."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % answer_bytes + bytes(answer_bytes)
    body = bytes(answer_bytes)
    request = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1):
            await reader.readexactly(len(request) - 1)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    kinds: dict[str, Callable[[], Awaitable[list[Outcome]]]] = {
        "closed loop, 1 client": lambda: closed_loop(port, [request], 1, seconds),
        "closed loop, 32 clients": lambda: closed_loop(port, [request], 32, seconds),
        "open loop, 50 a second": lambda: open_loop(port, [request], 50, seconds, 1),
    }
    for name, load in kinds.items():
        figures = summarise(await load(), 1.0, seconds)
        print(
            f"{name:24} {figures.throughput:7.1f} a second   p50 {figures.p50_ms:6.2f} ms"
            f"   p99 {figures.p99_ms:6.2f} ms"
        )
    await asyncio.sleep(0.1)  # the server's side of the connections ends
    server.close()


if __name__ == "__main__":
    asyncio.run(_measure_itself(answer_bytes=400_000, seconds=5.0))
