"""The client for programs with an event loop; the other one runs this in a thread.

Knows which calls there are; how they are sent stands in `sending`.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from app.client.answers import (
    BatchAnswer,
    Calibration,
    GoodScore,
    Inspection,
    PartProblem,
    ProductHistory,
    Products,
    Readiness,
)
from app.client.calls import (
    PRODUCTS,
    READY,
    BatchOptions,
    CalibrateOptions,
    DetectOptions,
    batch_call,
    calibrate_call,
    detect_call,
    product_call,
    rollback_call,
)
from app.client.errors import UnreadableAnswerError
from app.client.pictures import Image
from app.client.sending import Sender, check_url


class AsyncSSVPClient:
    """Calls one service, over connections that are kept.

    An inspection changes nothing, so it is asked for again, until the call's time is over, where there was no
    connection, where it ended, and where the service answered 429, 502 or 503; no earlier than `Retry-After`
    says. What changes something (`calibrate`, `rollback`) is sent again only if it cannot have been received.

    Args:
        url: of the service.
        api_key: where it asks for one.
        timeout_s: longest time of a call, reading its pictures and retries included; `deadline_ms` of a call
            shortens it, a calibration extends it.
        retries: most repetitions of a call; 0: none.
        verify: False, or an `ssl.SSLContext`, as httpx takes them.
        connections: most at the same time.
        transport: what carries requests, instead of the network.

    Raises:
        ValueError: the URL is none; no call could ever be answered, however often it was sent.
    """

    def __init__(
        self,
        url: str = "http://localhost:8080",
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 8,
        verify: Any = True,
        connections: int = 100,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        check_url(url)
        headers = {"Accept": "application/json"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=None,  # noqa: S113 - `Sender` limits the call as a whole
            verify=verify,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            transport=transport,
        )
        self._sender = Sender(self._http, timeout_s, retries)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def detect(
        self, image: Image | None = None, **options: Unpack[DetectOptions]
    ) -> Inspection:
        """Inspect one image.

        Args:
            image: encoded, the path of a file, or a file opened for reading bytes; none with `image_path`.
            options: see `DetectOptions`.

        Raises:
            SSVPError: one of its leaves; there is no verdict.
            OSError: the file cannot be read.
        """
        return await self._sender.ask(detect_call(image, options), Inspection)

    async def detect_batch(
        self, images: Sequence[Image], **options: Unpack[BatchOptions]
    ) -> tuple[Inspection | PartProblem, ...]:
        """Inspect up to 32 images in one request; each has a verdict or the problem that kept it away.

        Raises:
            SSVPError: one of its leaves; no image has a verdict.
            OSError: a file cannot be read.
        """
        results = (await self._sender.ask(batch_call(images, options), BatchAnswer)).results
        if len(results) != len(images):
            message = f"{len(images)} images were sent, {len(results)} results came back"
            raise UnreadableAnswerError(message, "unreadable", 200)
        return results

    async def calibrate(
        self,
        product: str,
        images: Sequence[Image] = (),
        scores: Iterable[GoodScore] | None = None,
        **options: Unpack[CalibrateOptions],
    ) -> Calibration:
        """Learn a product's threshold from good parts alone.

        Args:
            product: spoken product name.
            images: pictures of good parts.
            scores: instead, what `detect` gave them: any number, and with a progress of one's own.
            options: see `CalibrateOptions`.
        """
        call = calibrate_call(product, images, scores, options)
        return await self._sender.ask(call, Calibration)

    async def products(self) -> Products:
        """Return all products that have a profile."""
        return await self._sender.ask(PRODUCTS, Products)

    async def product(self, product: str) -> ProductHistory:
        """Return all versions of one product's profile."""
        return await self._sender.ask(product_call(product), ProductHistory)

    async def rollback(self, product: str, version: int | None = None) -> ProductHistory:
        """Let another version decide: by default the one replaced; 0 is none, the bundle's threshold."""
        return await self._sender.ask(rollback_call(product, version), ProductHistory)

    async def ready(self) -> Readiness:
        """Ask whether images are inspected now; this is not repeated."""
        return await self._sender.ask(READY, Readiness)
