"""The page in Debian's chromium, before the service as it ships; what the browser complains of fails a test."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.main import create_app
from app.server import Server
from app.settings import Settings
from tests.fakes import FakeRuntime

SCREENSHOTS = Path("build/screenshots")
START_S = 120
PATIENCE_MS = 20_000
SSVP = Path(sys.executable).parent / "ssvp"

_ARGUMENTS = [
    "--no-sandbox",  # tests run as root in containers
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it the page is not tested, and that is no success.

    Of one module: while it lasts playwright's event loop runs in this thread, and no asynchronous test can.
    """
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.fail(
            "chromium is missing: `apt-get install chromium` (the page is tested in a browser)"
        )
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        started = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service with its shipped bundle, in a process of its own, for all tests."""
    folder = tmp_path_factory.mktemp("service")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "SSVP_HOST": "127.0.0.1",
        "SSVP_PORT": url.rpartition(":")[2],
        "SSVP_PRODUCTS_FILE": str(folder / "products.json"),
        "OMP_NUM_THREADS": "2",
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([SSVP, "serve"], env=os.environ | settings, stderr=log)
    try:
        _wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, "the service ended"
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("not ready in time")


@contextmanager
def in_thread(settings: Settings, runtime: FakeRuntime) -> Iterator[str]:
    """Run a service with a fake runtime beside the test, for states that the real one is seldom in."""
    server = Server(settings, create_app(settings, runtime))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service ended"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Watched:
    """One page and what was noticed of it.

    Attributes:
        page: the page.
        complaints: errors and warnings of the console, CSP violations and exceptions among them.
        requests: method and address of everything the page asked for.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def count(self, path: str) -> int:
        """Return how many requests went to a path."""
        return sum(urlsplit(url.split(" ")[1]).path == path for url in self.requests)

    def judge(self, url: str, expected: tuple[str, ...]) -> None:
        """Fail where another host was asked, or the browser complained of what was not expected.

        Chromium writes an error for each answer that is one; `expected` has those that a test is about.
        """
        addresses = [urlsplit(asked.split(" ")[1]) for asked in self.requests]
        hosts = {a.netloc for a in addresses if a.scheme not in {"blob", "data"}}
        assert hosts == {urlsplit(url).netloc}
        assert [c for c in self.complaints if not any(part in c for part in expected)] == []

    def shoot(self, name: str) -> None:
        """Keep a screenshot."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


Open = Callable[..., AbstractContextManager[Watched]]


@pytest.fixture
def opened(browser: Browser, service_url: str) -> Open:
    """Return what opens the page; on leaving, foreign hosts and complaints fail the test."""

    @contextmanager
    def open_page(
        url: str = service_url,
        width: int = 1440,
        height: int = 900,
        expected: tuple[str, ...] = (),
        dark: bool = False,
    ) -> Iterator[Watched]:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        watched = Watched(page)
        page.on("request", lambda r: watched.requests.append(f"{r.method} {r.url}"))
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        page.on(
            "console",
            lambda m: watched.complaints.append(m.text) if m.type in {"error", "warning"} else None,
        )
        try:
            page.goto(url)
            yield watched
            watched.judge(url, expected)
        finally:
            context.close()

    return open_page
