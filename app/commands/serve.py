"""`ssvp serve`: run the service until a signal or its engine ends it.

Knows the process: its log, its signals and its exit code; `app.main` makes what is served.
"""

import logging
import os
import signal
import sys
from types import FrameType

import typer

from app.commands.environment import read_settings
from app.errors import StartError
from app.garbage import lasting
from app.logs import configure_logging


def serve() -> None:
    """Run the service; SSVP_* variables configure it, `ssvp settings` lists them.

    Example: SSVP_PORT=9000 ssvp serve
    """
    with lasting():
        from app.http.server import Server
        from app.main import create_app

    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    try:
        app = create_app(settings)
    except StartError as error:
        logging.getLogger(__name__).error("start failed: %s", error)
        raise typer.Exit(code=1) from None
    server = Server(settings, app)
    # uvicorn raises the signal that stopped it again once it is done: an orderly end is a success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_orderly)
    try:
        server.run()  # raises the signal that stopped it again
    finally:
        if server.failed:
            os._exit(1)  # a driver whose device hangs keeps an orderly exit waiting for ever
    raise typer.Exit(code=0 if server.started else 1)


def _exit_orderly(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(0)
