"""From an empty process to one that inspects, and back: load, warm up, prove, serve, drain.

Knows when the service may answer and says why not; knows neither HTTP nor how anything is computed.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum

from app.engine.batcher import Batcher, BatchLimits
from app.engine.inspector import Inspector, Order
from app.engine.render import HeatmapKind, HeatmapOptions
from app.errors import (
    DrainingError,
    NotReadyError,
    QueueFullError,
    ServiceError,
    StartError,
    StartingError,
    UnavailableError,
    WorkerDeadError,
)
from app.runtime.protocol import GoldenImage, ModelInfo, Runtime
from app.settings import Settings

logger = logging.getLogger(__name__)


class State(StrEnum):
    """What the engine is doing; it inspects in `READY` only."""

    STARTING = "starting"
    READY = "ready"
    NOT_READY = "not_ready"
    FAILED = "failed"
    DRAINING = "draining"


@dataclass(frozen=True)
class Snapshot:
    """The engine at one moment, for probes and metrics.

    Attributes:
        state: what it is doing.
        reason: why it is not ready; empty when it is.
        alive: False when the worker thread has ended though it should serve.
        queue_depth: images waiting for the device.
        queue_limit: most images that may wait.
        inflight: requests between arrival and answer.
        golden_score: last score of the golden image, NaN before the first.
        model: what was loaded, once it is.
    """

    state: State
    reason: str
    alive: bool
    queue_depth: int
    queue_limit: int
    inflight: int
    golden_score: float
    model: ModelInfo | None


class Engine:
    """Owns the runtime, its worker and its threads for the life of the process.

    Attributes:
        on_failure: called once if the start fails; a process that cannot serve should end.
    """

    def __init__(
        self, settings: Settings, on_batch: Callable[[int], None] = lambda _size: None
    ) -> None:
        self.on_failure: Callable[[], None] = lambda: None
        self._settings, self._on_batch = settings, on_batch
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="ssvp-image")
        self._state, self._reason = State.STARTING, "the bundle is being loaded"
        self._batcher: Batcher | None = None
        self._inspector: Inspector | None = None
        self._model: ModelInfo | None = None
        self._inflight = 0
        self._golden_score = math.nan

    @asynccontextmanager
    async def running(self, load: Callable[[], Runtime]) -> AsyncIterator[None]:
        """Start in the background; on leaving, finish what was accepted and stop.

        Args:
            load: makes the runtime; called in a thread of its own.
        """
        startup = asyncio.create_task(self._start(load))
        startup.add_done_callback(self._start_ended)
        try:
            yield
        finally:
            startup.cancel()
            await asyncio.wait([startup])
            await self._stop()

    @contextmanager
    def admitted(self) -> Iterator[Inspector]:
        """Count a request in, or refuse it before its body is read.

        As many requests are admitted as may wait and be computed. Decoding happens inside that bound, so it
        bounds memory too.

        Raises:
            UnavailableError: one of its leaves.
        """
        inspector = self._ready_inspector()
        limit = self._settings.queue_size + self._settings.max_batch
        if self._inflight >= limit:
            raise QueueFullError(f"{limit} requests are being served already")
        self._inflight += 1
        try:
            yield inspector
        finally:
            self._inflight -= 1

    def snapshot(self) -> Snapshot:
        """Describe the engine as it is now."""
        dead = self._worker_dead()
        return Snapshot(
            state=State.FAILED if dead else self._state,
            reason="the inference worker has ended" if dead else self._reason,
            alive=not dead and self._state is not State.FAILED,
            queue_depth=self._batcher.depth if self._batcher else 0,
            queue_limit=self._settings.queue_size,
            inflight=self._inflight,
            golden_score=self._golden_score,
            model=self._model,
        )

    def _worker_dead(self) -> bool:
        serving = self._state in (State.READY, State.NOT_READY)
        return serving and self._batcher is not None and not self._batcher.alive

    def _ready_inspector(self) -> Inspector:
        if self._worker_dead():
            raise WorkerDeadError("the inference worker has ended")
        if self._state is State.READY and self._inspector is not None:
            return self._inspector
        raise self._refusal()(self._reason)

    def _refusal(self) -> type[UnavailableError]:
        if self._state is State.STARTING:
            return StartingError
        return DrainingError if self._state is State.DRAINING else NotReadyError

    async def _start(self, load: Callable[[], Runtime]) -> None:
        settings = self._settings
        runtime = await asyncio.to_thread(load)
        self._model = runtime.info
        limits = BatchLimits(settings.max_batch, settings.max_wait_ms / 1000, settings.queue_size)
        self._batcher = Batcher(runtime, limits, self._on_batch)
        self._reason = "the model is warming up"
        await self._batcher.start()
        self._inspector = Inspector(runtime, self._batcher, self._pool, settings.max_pixels)
        self._reason = "the golden image is being inspected"
        self._reason = await self._golden_complaint(self._inspector, self._model.golden)
        self._state = State.NOT_READY if self._reason else State.READY
        logger.log(
            logging.ERROR if self._reason else logging.INFO,
            "%s %s on %s is %s%s",
            self._model.name,
            self._model.version,
            self._model.device,
            self._state,
            f": {self._reason}" if self._reason else "",
        )

    async def _golden_complaint(self, inspector: Inspector, golden: GoldenImage) -> str:
        """Inspect the golden image through the queue and worker that serve; an empty answer is a pass."""
        options = HeatmapOptions(HeatmapKind.NONE)
        try:
            inspection = await inspector.inspect(Order(golden.png, golden.product, None, options))
        except ServiceError as error:
            logger.error("the golden image could not be inspected", exc_info=error)
            return f"the golden image could not be inspected: {error.code}"
        self._golden_score = score = inspection.verdict.score
        if abs(score - golden.score) <= golden.tolerance:
            return ""
        return (
            f"the golden image scored {score:.6f}, not {golden.score:.6f} +- {golden.tolerance:.6f}"
        )

    def _start_ended(self, startup: asyncio.Task[None]) -> None:
        if startup.cancelled() or (error := startup.exception()) is None:
            return
        self._state, self._reason = State.FAILED, "the start failed; the log says why"
        expected = isinstance(error, StartError)
        logger.error("start failed: %s", error, exc_info=None if expected else error)
        self.on_failure()

    async def _stop(self) -> None:
        self._state, self._reason = State.DRAINING, "the service is shutting down"
        if self._batcher is not None:
            await self._batcher.stop(self._settings.grace_time_s)
        self._pool.shutdown(wait=False)
