"""uvicorn as this service needs it: one process, an orderly end, an end when the engine cannot serve.

Knows sockets and signals; knows neither routes nor images.
"""

import asyncio
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.engine.lifecycle import Engine
from app.http.limits import LimitedProtocol
from app.http.unread import UnreadAnswers
from app.settings import Settings

# After the engine's own grace time: every request has an answer by then, which must still be written.
WRITE_ANSWERS_S = 2
# Answers of the largest body's size that callers may leave unread; of smaller ones the more.
UNREAD_ANSWERS = 8


class Server(uvicorn.Server):
    """Serves one application until a signal comes or its engine fails.

    Attributes:
        failed: whether the engine could not serve; the process should end with an error then.
    """

    def __init__(self, settings: Settings, app: FastAPI) -> None:
        super().__init__(_config(settings, app))
        self.failed = False
        self._engine: Engine = app.state.engine
        self._engine.on_failure = self._fail

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop admitting requests at once, then let uvicorn close what is idle and wait for the rest."""
        asyncio.get_running_loop().call_soon_threadsafe(self._engine.drain)
        super().handle_exit(sig, frame)

    def _fail(self) -> None:
        self.failed = self.should_exit = True


def _config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    unread = UnreadAnswers(UNREAD_ANSWERS * settings.max_body_bytes)
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=partial(LimitedProtocol, app.state.metrics, unread),  # type: ignore[arg-type]  # is only called
        lifespan="on",
        ws="none",  # an upgrade must not slip past the limits
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.grace_time_s + WRITE_ANSWERS_S,
    )
