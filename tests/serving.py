"""A server on a free port, beside a test: in its event loop, in a thread, or in a process of its own."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from app.engine.lifecycle import Engine
from app.engine.state import State
from app.http.server import Server
from app.main import create_app
from app.runtime.protocol import Runtime
from app.settings import Settings
from tests.conftest import until
from tests.fakes import FakeRuntime

SSVP = Path(sys.executable).parent / "ssvp"
START_S = 120.0
END_S = 30.0


@asynccontextmanager
async def serving_until_it_ends(
    runtime: FakeRuntime, **settings: float | Path | tuple[Path, ...]
) -> AsyncIterator[tuple[Server, asyncio.Task[None], int]]:
    """Run a server in this event loop; yield it, its task and its port."""
    chosen = Settings(host="127.0.0.1", port=0, **settings)  # type: ignore[arg-type]
    app = create_app(chosen, runtime)
    server = Server(chosen, app)
    running = asyncio.create_task(server.serve())
    engine: Engine = app.state.engine
    await until(lambda: server.started and engine.snapshot().state is State.READY)
    try:
        yield server, running, _port(server)
    finally:
        runtime.gate.set()
        server.should_exit = True
        await running


@asynccontextmanager
async def listening(
    runtime: FakeRuntime, **settings: float | Path | tuple[Path, ...]
) -> AsyncIterator[tuple[Engine, int]]:
    """Run a server in this event loop; yield its engine and port."""
    async with serving_until_it_ends(runtime, **settings) as (server, _, port):
        yield server.config.app.state.engine, port  # type: ignore[union-attr]


@contextmanager
def in_thread(settings: Settings, runtime: Runtime | None = None) -> Iterator[str]:
    """Run a server in a thread; yield its address as soon as it listens, ready or not."""
    server = Server(settings, create_app(settings, runtime))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, thread.is_alive)
        yield f"http://127.0.0.1:{_port(server)}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def in_process(log: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `ssvp serve` with its log in a file; yield the process and its address once it is ready."""
    chosen = {"SSVP_HOST": "127.0.0.1", "SSVP_PORT": "0", **environment}
    with log.open("w") as stderr:
        process = subprocess.Popen([SSVP, "serve"], env=os.environ | chosen, stderr=stderr)

    def runs() -> bool:
        return process.poll() is None

    try:
        wait_for(lambda: _address(log) is not None, runs)
        url = _address(log)
        assert url is not None
        wait_until_ready(url, runs)
        yield process, url
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        finally:
            process.kill()
            process.wait()


def wait_until_ready(url: str, runs: Callable[[], bool] = lambda: True) -> None:
    """Wait until a service has its model, for as long as it runs."""
    with httpx.Client(base_url=url) as client:

        def ready() -> bool:
            try:
                return client.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(ready, runs)


def wait_for(condition: Callable[[], bool], runs: Callable[[], bool] = lambda: True) -> None:
    """Wait until a condition holds, for as long as the service runs and no longer than it may take to start."""
    end = time.monotonic() + START_S
    while not condition():
        assert runs(), "the service ended"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def _port(server: Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


def _address(log: Path) -> str | None:
    """Return the address that a service's log names."""
    found = re.search(r"running on (http://[\d.]+:\d+)", log.read_text())
    return found and found[1]
