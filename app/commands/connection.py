"""A client of the service that a command works with: a running one, or the same application in process.

Knows where the service is; knows nothing of what is asked of it. In process there is no socket, but everything
else is what `ssvp serve` runs: the same bytes give the same verdicts.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from app.client.asynchronous import AsyncSSVPClient
from app.client.sending import check_url
from app.commands.environment import read_settings
from app.commands.terminal import progress_bar
from app.errors import NotReadyError, StartError
from app.settings import Settings

CALL_S = 60.0
_STARTS_WITHIN_S = 300.0
_NO_DEADLINE_MS = 3_600_000


@dataclass(frozen=True)
class Where:
    """What the options say of the service.

    Attributes:
        url: of a running one; None: in process.
        api_key_file: holds a running one's key.
        bundle, device, products_file: in process; None: as SSVP_* variables say.
        connections: to a running one, at the same time.
    """

    url: str | None = None
    api_key_file: Path | None = None
    bundle: str | None = None
    device: str | None = None
    products_file: Path | None = None
    connections: int = 100

    def __post_init__(self) -> None:
        local = {
            "--bundle": self.bundle,
            "--device": self.device,
            "--products-file": self.products_file,
        }
        given = [name for name, value in local.items() if value is not None]
        if self.url is not None and given:
            raise typer.BadParameter(f"{given[0]} goes without --url: the service has its own")
        if self.url is not None:
            try:
                check_url(self.url)
            except ValueError as error:
                raise typer.BadParameter(f"--url: {error}") from None
        if self.url is None and self.api_key_file is not None:
            raise typer.BadParameter("--api-key-file goes with --url")

    def api_key(self) -> str | None:
        """Return the key for a running service: the first line of its file, for instance a mounted secret.

        Raises:
            StartError: there is no key in it.
        """
        if self.api_key_file is None:
            return None
        try:
            lines = self.api_key_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"API key: {self.api_key_file} cannot be read: {error}") from None
        key = lines[0].strip() if lines else ""
        if not key or not key.isascii():
            raise StartError(f"API key: the first line of {self.api_key_file} holds no key")
        return key

    def settings(self) -> Settings:
        """Return the settings for a service in process: patient, and open to its one caller."""
        own = {"bundle": self.bundle, "device": self.device, "products_file": self.products_file}
        changes = {name: value for name, value in own.items() if value is not None}
        alone = {"api_keys_file": None, "default_deadline_ms": _NO_DEADLINE_MS}
        return read_settings().model_copy(update=changes | alone)


@asynccontextmanager
async def connected(where: Where, retries: int = 8) -> AsyncIterator[AsyncSSVPClient]:
    """Yield a client of a service that is ready.

    Raises:
        SSVPError: nobody answers there.
        StartError: the bundle, the device or a file cannot be used.
        NotReadyError: it runs, but does not inspect.
    """
    async with AsyncExitStack() as stack:
        if where.url is None:
            client = await stack.enter_async_context(_in_process(where.settings()))
        else:
            client = await stack.enter_async_context(
                AsyncSSVPClient(
                    where.url,
                    api_key=where.api_key(),
                    timeout_s=CALL_S,
                    retries=retries,
                    connections=where.connections,
                )
            )
        with progress_bar("waiting until the model is ready", None):
            await _until_ready(client)
        yield client


@asynccontextmanager
async def _in_process(settings: Settings) -> AsyncIterator[AsyncSSVPClient]:
    import httpx

    from app.logs import configure_logging
    from app.main import create_app, load_runtime

    configure_logging("WARNING", "text")
    with progress_bar(f"loading {settings.bundle}", None):
        runtime = await asyncio.to_thread(load_runtime, settings)
    app = create_app(settings, runtime)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        AsyncSSVPClient(
            "http://in-process", timeout_s=_NO_DEADLINE_MS / 1000, transport=transport
        ) as client,
    ):
        yield client


async def _until_ready(client: AsyncSSVPClient) -> None:
    end = time.monotonic() + _STARTS_WITHIN_S
    while not (found := await client.ready()).ready:
        if found.status != "starting" or time.monotonic() > end:
            raise NotReadyError(f"the service is {found.status}: {found.reason}")
        await asyncio.sleep(0.05)
