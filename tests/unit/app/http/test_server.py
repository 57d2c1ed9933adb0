"""How uvicorn is set up: how long it waits, what it may hold, and how it ends."""

import asyncio
import signal
from functools import partial

import pytest

from app.engine.lifecycle import Engine
from app.engine.state import State
from app.http.server import Server
from app.http.unread import UnreadAnswers
from app.main import create_app
from app.settings import Settings
from tests.fakes import FakeRuntime


def _server(settings: Settings) -> Server:
    return Server(settings, create_app(settings, FakeRuntime()))


def test_answers_have_two_seconds_after_the_grace_time() -> None:
    """A second less may cut off what the engine has just answered; a minute more, and the process is killed."""
    config = _server(Settings(grace_time_s=7, keep_alive_s=11)).config
    assert config.timeout_graceful_shutdown == 7 + 2
    assert config.timeout_keep_alive == 11


def test_callers_may_leave_eight_large_answers_unread() -> None:
    """Of the largest body's size; the process has memory for these."""
    protocol = _server(Settings(max_body_bytes=1000)).config.http
    assert isinstance(protocol, partial)
    (unread,) = (given for given in protocol.args if isinstance(given, UnreadAnswers))
    assert unread._limit_bytes == 8 * 1000


@pytest.mark.anyio
async def test_a_signal_ends_admission_and_then_the_server() -> None:
    """No request that comes meanwhile is begun."""
    server = _server(Settings())
    engine: Engine = server.config.app.state.engine  # type: ignore[union-attr]
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
    await asyncio.sleep(0)
    assert engine.snapshot().state is State.DRAINING
    await engine.drain()
