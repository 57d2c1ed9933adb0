"""The client for programs without an event loop: the asynchronous one, on a loop in a thread of its own.

Knows threads; everything else is `asynchronous`, so limits of time hold for a call as a whole, whatever the
network does. One client may be used by many threads at once.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from app.client.answers import (
    Calibration,
    GoodScore,
    Inspection,
    PartProblem,
    ProductHistory,
    Products,
    Readiness,
)
from app.client.asynchronous import AsyncSSVPClient
from app.client.calls import BatchOptions, CalibrateOptions, DetectOptions
from app.client.pictures import Image

T = TypeVar("T")


class SSVPClient:
    """Calls one service; see `AsyncSSVPClient` for what is repeated and when.

    Args:
        url: of the service.
        options: as `AsyncSSVPClient` takes them.
    """

    def __init__(self, url: str = "http://localhost:8080", **options: Any) -> None:
        self._client = AsyncSSVPClient(url, **options)
        self._loop = asyncio.new_event_loop()
        self._closed, self._closing = False, threading.Lock()
        # A daemon, so that a program which forgets to close its client still ends.
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="ssvp-client", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections; calls that other threads wait for end in `RuntimeError`.

        Once is enough, twice does no harm.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            ended = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        ended.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._client.close()

    def detect(self, image: Image | None = None, **options: Unpack[DetectOptions]) -> Inspection:
        """Inspect one image; see `AsyncSSVPClient.detect`."""
        return self._run(self._client.detect(image, **options))

    def detect_batch(
        self, images: Sequence[Image], **options: Unpack[BatchOptions]
    ) -> tuple[Inspection | PartProblem, ...]:
        """Inspect up to 32 images in one request; see `AsyncSSVPClient.detect_batch`."""
        return self._run(self._client.detect_batch(images, **options))

    def calibrate(
        self,
        product: str,
        images: Sequence[Image] = (),
        scores: Iterable[GoodScore] | None = None,
        **options: Unpack[CalibrateOptions],
    ) -> Calibration:
        """Learn a product's threshold from good parts alone; see `AsyncSSVPClient.calibrate`."""
        return self._run(self._client.calibrate(product, images, scores, **options))

    def products(self) -> Products:
        """Return all products that have a profile."""
        return self._run(self._client.products())

    def product(self, product: str) -> ProductHistory:
        """Return all versions of one product's profile."""
        return self._run(self._client.product(product))

    def rollback(self, product: str, version: int | None = None) -> ProductHistory:
        """Let another version decide; see `AsyncSSVPClient.rollback`."""
        return self._run(self._client.rollback(product, version))

    def ready(self) -> Readiness:
        """Ask whether images are inspected now."""
        return self._run(self._client.ready())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._closing:  # what begins after the end would never end
            if self._closed:
                work.close()
                raise RuntimeError("this client is closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("this client was closed during the call") from None
        except KeyboardInterrupt:
            future.cancel()
            raise
