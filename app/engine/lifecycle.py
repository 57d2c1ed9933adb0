"""From an empty process to one that inspects, and back: load, warm up, prove, serve, keep proving, drain.

Knows when the service may answer and says why not; knows neither HTTP nor how anything is computed.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

from app.engine.batcher import Batcher
from app.engine.golden import GoldenFinding, inspect_golden
from app.engine.image_threads import ImageThreads
from app.engine.inspector import Inspector
from app.engine.state import Snapshot, State
from app.engine.waiting import BatchLimits
from app.errors import (
    DeviceLostError,
    DrainingError,
    NotReadyError,
    QueueFullError,
    StartError,
    StartingError,
    UnavailableError,
    WorkerDeadError,
)
from app.products.live import Products
from app.products.store import ProductStore
from app.runtime.protocol import GoldenImage, ModelInfo, Runtime
from app.settings import Settings

logger = logging.getLogger(__name__)

FIRST_GOLDEN_S = 60.0
# What takes longer never ends: a batch of ssvp-large may take 80 s on two cores, compiling takes minutes.
HUNG_S, WARM_UP_S = 300.0, 3600.0
SILENT_S = 10.0  # a device whose batch takes so long may answer nothing at all


class Engine:
    """Owns the runtime, its worker and its threads for the life of the process.

    Attributes:
        on_failure: called if the start fails, the worker dies or the device hangs; a process that cannot serve
            should end.
        on_drained: called at the end of a shutdown's grace time, or as soon as nothing is in flight.
    """

    def __init__(
        self,
        settings: Settings,
        on_batch: Callable[[int], None] = lambda _size: None,
        products: Products | None = None,
    ) -> None:
        self.on_failure: Callable[[], None] = lambda: None
        self.on_drained: Callable[[], None] = lambda: None
        self._settings, self._on_batch = settings, on_batch
        self._products = products or Products(ProductStore(None))
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="ssvp-image")
        self._state, self._reason = State.STARTING, "the bundle is being loaded"
        self._batcher: Batcher | None = None
        self._inspector: Inspector | None = None
        self._runtime: Runtime | None = None
        self._model: ModelInfo | None = None
        self._inflight = 0
        self._idle = asyncio.Event()  # nothing in flight
        self._idle.set()
        self._drain: asyncio.Task[None] | None = None
        self._golden_score = math.nan
        self._wrong = False  # the last golden image came out with another score than its own
        self._times_wrong = 0

    @asynccontextmanager
    async def running(self, load: Callable[[], Runtime]) -> AsyncIterator[None]:
        """Start in the background; on leaving, finish what was accepted and stop.

        Args:
            load: makes the runtime; called in a thread of its own.
        """
        watch = asyncio.create_task(self._start_and_watch(load))
        watch.add_done_callback(self._watch_ended)
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])
            await self.drain()

    def drain(self) -> asyncio.Task[None]:
        """Refuse new requests and finish those admitted; returns what to wait for.

        Those that are not done within `SSVP_GRACE_TIME_S` end in `DrainingError`, so that they have an answer
        before the connections are closed.
        """
        if self._drain is None:
            self._state, self._reason = State.DRAINING, "the service is shutting down"
            self._drain = asyncio.create_task(self._finish())
        return self._drain

    def refuse_if_unavailable(self) -> None:
        """Refuse a request that could not be admitted now, before its body is read.

        Raises:
            UnavailableError: one of its leaves.
        """
        self._ready_inspector()
        limit = self._settings.places
        if self._inflight >= limit:
            raise QueueFullError(f"{limit} requests are being served already")

    @contextmanager
    def admitted(self, *, part: bool = False) -> Iterator[Inspector]:
        """Count a request in, or refuse it; its body has arrived, so whoever sends slowly takes no place.

        As many requests are admitted as may wait and be computed. Decoding happens inside that bound, so it
        bounds memory too. No verdict leaves once the model is known to compute wrongly.

        Args:
            part: one image of a request that was admitted, which shutting down does not refuse any more.

        Raises:
            UnavailableError: one of its leaves.
        """
        if part and self._state is State.DRAINING and self._inspector is not None:
            inspector = self._inspector
        else:
            self.refuse_if_unavailable()
            inspector = self._ready_inspector()
        self._inflight += 1
        self._idle.clear()
        times_wrong = self._times_wrong
        try:
            yield inspector
            if self._wrong or self._times_wrong > times_wrong:
                raise NotReadyError(self._reason or "the golden image came out wrong meanwhile")
        finally:
            self._inflight -= 1
            if not self._inflight:
                self._idle.set()

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

    def device_memory(self) -> Mapping[str, int]:
        """Return bytes of the device's memory by kind; empty on a CPU, and on a device that does not answer."""
        hung = self._batcher is not None and self._batcher.computing_s > SILENT_S
        if self._runtime is None or hung:  # to ask a hung device is to hang, the watch included
            return {}
        try:
            return self._runtime.memory()
        except RuntimeError as error:  # torch's, from a device that is lost; the worker will say so
            logger.warning("the device does not tell its memory: %r", error)
            return {}

    def _worker_dead(self) -> bool:
        serving = self._state in (State.READY, State.NOT_READY)
        return serving and self._batcher is not None and not self._batcher.alive

    def _ready_inspector(self) -> Inspector:
        if self._state is State.READY and self._inspector is not None:
            return self._inspector
        raise self._refusal()(self._reason)

    def _refusal(self) -> type[UnavailableError]:
        if self._state is State.STARTING:
            return StartingError
        if self._state is State.DRAINING:
            return DrainingError
        died = self._state is State.FAILED and self._batcher is not None
        return WorkerDeadError if died else NotReadyError

    async def _start_and_watch(self, load: Callable[[], Runtime]) -> None:
        limit = asyncio.timeout(WARM_UP_S)
        try:
            async with limit:
                runtime = await asyncio.to_thread(load)
                self._runtime, self._model = runtime, runtime.info
                self._batcher = self._new_batcher(runtime)
                self._reason = "the model is warming up"
                await self._batcher.start()
        except TimeoutError:
            if not limit.expired():  # a bundle on a network drive
                raise
            raise StartError(f"the model was not warm within {WARM_UP_S:g} s") from None
        threads = ImageThreads(self._pool, self._settings.decode_threads)
        self._inspector = Inspector(
            runtime, self._batcher, threads, self._settings.max_pixels, self._products
        )
        self._reason = "the golden image is being inspected"
        proving = asyncio.create_task(self._keep_proving(self._inspector, self._model.golden))
        try:
            await _watch_device(self._batcher, proving)
        finally:
            proving.cancel()
            await asyncio.gather(proving, return_exceptions=True)

    async def _keep_proving(self, inspector: Inspector, golden: GoldenImage) -> None:
        half = self._settings.golden_interval_s / 2
        while True:
            # Twice an interval, each time half of it to wait: whatever goes wrong shows within one.
            began = time.perf_counter()
            self._judge(await inspect_golden(inspector, golden, self._golden_limit_s()))
            await asyncio.sleep(max(0.0, began + half - time.perf_counter()))

    def _new_batcher(self, runtime: Runtime) -> Batcher:
        settings = self._settings
        limits = BatchLimits(settings.max_batch, settings.max_wait_ms / 1000, settings.queue_size)
        return Batcher(runtime, limits, self._on_batch, self._worker_died)

    def _judge(self, finding: GoldenFinding) -> None:
        """Be ready if the golden image has its score, and say so when that changes."""
        self._wrong, complaint = finding.wrong, finding.complaint
        self._times_wrong += finding.wrong
        if not math.isnan(finding.score):
            self._golden_score = finding.score
        state = State.NOT_READY if complaint else State.READY
        changed = state is not self._state or complaint != self._reason
        if self._state in (State.DRAINING, State.FAILED) or not changed or self._model is None:
            return
        self._state, self._reason = state, complaint
        logger.log(
            logging.ERROR if complaint else logging.INFO,
            "%s %s on %s is %s%s",
            self._model.name,
            self._model.version,
            self._model.device,
            state,
            f": {complaint}" if complaint else "",
        )

    def _golden_limit_s(self) -> float:
        """Half an interval; the first image of all may take longer, since nobody relies on it yet."""
        first = self._state is State.STARTING
        return FIRST_GOLDEN_S if first else self._settings.golden_interval_s / 2

    def _watch_ended(self, watch: asyncio.Task[None]) -> None:
        if watch.cancelled() or (error := watch.exception()) is None:
            return
        expected = isinstance(error, StartError | DeviceLostError)
        logger.error("the engine failed: %s", error, exc_info=None if expected else error)
        self._fail("the engine failed; the log says why")

    def _worker_died(self) -> None:
        self._fail("the inference worker has ended")

    def _fail(self, reason: str) -> None:
        if self._state in (State.DRAINING, State.FAILED):
            return
        self._state, self._reason = State.FAILED, reason
        self.on_failure()

    async def _finish(self) -> None:
        end = time.perf_counter() + self._settings.grace_time_s
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._settings.grace_time_s)
        self.on_drained()
        if self._batcher is not None:
            await self._batcher.stop(max(0.0, end - time.perf_counter()))
        self._pool.shutdown(wait=False)


async def _watch_device(batcher: Batcher, proving: asyncio.Task[None]) -> None:
    """Watch for a batch that never ends, for as long as the golden image is inspected.

    By a timer of its own: golden images may be an hour apart.

    Raises:
        DeviceLostError: a batch takes more than `HUNG_S`; all that wait have been told.
    """
    while not proving.done():
        left_s = HUNG_S - batcher.computing_s
        if left_s <= 0:
            batcher.give_up()
            raise DeviceLostError(f"the device hangs: one batch takes more than {HUNG_S:g} s")
        await asyncio.wait([proving], timeout=left_s)
    await proving
