"""What tests of the service share: an application in process, with a fake runtime, and a client for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import hypothesis
import pytest

from app.engine.lifecycle import Engine
from app.engine.state import State
from app.main import create_app
from app.runtime.protocol import Runtime
from app.settings import Settings
from tests.fakes import FakeRuntime

WAIT_S = 10.0

# Examples are of outcomes; how long one takes says what else the machine does.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until a condition holds."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        await asyncio.sleep(0.002)


@dataclass(frozen=True)
class Service:
    """A running application and a client that talks to it."""

    client: httpx.AsyncClient
    engine: Engine


@asynccontextmanager
async def serving(
    runtime: Runtime | None = None, *, wait: bool = True, settings: Settings | None = None
) -> AsyncIterator[Service]:
    """Run an application in process."""
    app = create_app(settings or Settings(), runtime or FakeRuntime())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    engine: Engine = app.state.engine
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://ssvp", timeout=WAIT_S) as client,
    ):
        if wait:
            await until(lambda: engine.snapshot().state is not State.STARTING)
        yield Service(client, engine)


@pytest.fixture
def anyio_backend() -> str:
    """Run the asynchronous tests on asyncio only: uvicorn does."""
    return "asyncio"


@pytest.fixture
async def service(anyio_backend: str) -> AsyncIterator[Service]:
    """A ready service with default settings and a fake runtime."""
    async with serving() as running:
        yield running
