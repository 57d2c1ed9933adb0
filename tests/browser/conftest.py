"""The page in Debian's chromium, before the service as it ships; what the browser complains of fails a test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.serving import in_process

SCREENSHOTS = Path("build/screenshots")
PATIENCE_MS = 20_000

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
    products = str(folder / "products.json")
    with in_process(folder / "log", SSVP_PRODUCTS_FILE=products, OMP_NUM_THREADS="2") as (_, url):
        yield url


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
