"""What operators see: metrics, and one log line a request.

Knows what is counted and how it is written; knows neither how requests are parsed nor how images are inspected.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from app.engine.inspection import Inspection
from app.engine.state import Snapshot, State
from app.errors import ServiceError, UnavailableError
from app.products.live import ProductState

logger = logging.getLogger(__name__)

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
_SCORES = tuple(i / 20 for i in range(1, 21))
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Callers' free text must not grow the label set; only products with a profile have a label of their own.
_UNPROFILED = "other"


@dataclass
class RequestRecord:
    """What is known of one request so far; filled in on its way.

    Attributes:
        request_id: from `X-Request-ID`, or made.
        method: HTTP method.
        path: without the query; untrusted text.
        started_at: `time.perf_counter()` at arrival.
        trace_id: of the caller's trace (W3C trace context); empty without one.
        part_id: as sent; untrusted text.
        key: name of the API key, empty where none was asked for or given.
        inspects: whether it asks for an inspection.
        status: of the answer; 500 until there is one.
        code: stable name of the problem, if it ended in one.
        inspection: what the engine found, if it got that far.
        parts: one record for each image of a batch.
    """

    request_id: str
    method: str
    path: str
    started_at: float = field(default_factory=time.perf_counter)
    trace_id: str = ""
    part_id: str = ""
    key: str = ""
    inspects: bool = False
    status: int = 500
    code: str | None = None
    inspection: Inspection | None = None
    parts: list["RequestRecord"] = field(default_factory=list)

    def part(self) -> "RequestRecord":
        """Add the record of one image of a batch."""
        part = replace(self, parts=[], inspection=None)
        self.parts.append(part)
        return part

    @property
    def elapsed_s(self) -> float:
        """Seconds since arrival."""
        return time.perf_counter() - self.started_at

    @property
    def outcome(self) -> str:
        """How it ended: `ok`, `ng`, a problem's code, or `answered` for all that inspects nothing."""
        if self.code is not None:
            return self.code
        if self.inspects and self.status >= 500:  # a bug; its problem is written further out
            return "internal"
        if self.inspection is not None:
            return self.inspection.verdict.result.lower()
        return "answered"

    def stages_s(self) -> Iterator[tuple[str, float]]:
        """Yield each stage of the inspection with its seconds."""
        if self.inspection is not None:
            yield from asdict(self.inspection.times).items()


def log_request(record: RequestRecord) -> None:
    """Write the request's line; probes and metrics that answer as they should are written at DEBUG only."""
    expected = record.status in (200, 503) and not record.inspects
    level = logging.DEBUG if expected else logging.INFO
    logger.log(level, "request", extra={"fields": dict(_log_fields(record))})


def _log_fields(record: RequestRecord) -> Iterator[tuple[str, Any]]:
    yield "request_id", record.request_id
    for name in ("trace_id", "key", "part_id"):
        if value := getattr(record, name):
            yield name, value
    yield "method", record.method
    yield "path", record.path
    yield "status", record.status
    yield "outcome", record.outcome
    if record.parts:
        yield "outcomes", [part.outcome for part in record.parts]
    if record.inspection is not None:
        verdict, label = record.inspection.verdict, record.inspection.basis.label
        yield "score", round(verdict.score, 4)
        if label is not None:
            yield "product", label
            yield "profile_version", verdict.profile_version
        if record.inspection.basis.warnings and verdict.threshold_source == "bundle":
            yield "warnings", record.inspection.basis.warnings
        yield "batch_size", record.inspection.batch_size
    for stage, seconds in record.stages_s():
        yield f"{stage}_ms", round(1000 * seconds, 1)
    yield "total_ms", round(1000 * record.elapsed_s, 1)


class Metrics:
    """One process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, labels: tuple[str, ...]) -> Counter:
            return Counter(f"ssvp_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"ssvp_{name}", text, labels, registry=registry)

        def histogram(
            name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()
        ) -> Histogram:
            return Histogram(f"ssvp_{name}", text, labels, buckets=buckets, registry=registry)

        self._requests = counter("requests", "Inspection requests by how they ended.", ("outcome",))
        self._rejected = counter("rejected", "Requests refused with 503.", ("reason",))
        self._late = counter("deadline_missed", "Requests that ended in 504.", ())
        self._verdicts = counter("verdicts", "Verdicts given.", ("product", "result"))
        self._duration = histogram(
            "request_duration_seconds", "Arrival to answer of inspected images.", _SECONDS
        )
        self._stage = histogram(
            "stage_duration_seconds", "Time in each stage.", _SECONDS, ("stage",)
        )
        self._score = histogram("score", "Image-level scores.", _SCORES, ("product",))
        self._psi = gauge("score_psi", "Drift of scores from the good parts'.", ("product",))
        self._psi_limit = gauge("score_psi_limit", "Drift that is no accident.", ("product",))
        self._stale = gauge("profile_stale", "1: profile of another bundle.", ("product",))
        self._batch_size = histogram("batch_size", "Images computed at once.", _BATCHES)
        self._ready = gauge("ready", "1 while images are inspected, else 0; what /readyz says.")
        self._queue_depth = gauge("queue_depth", "Images waiting for the device.")
        self._queue_limit = gauge("queue_limit", "Most images that may wait.")
        self._inflight = gauge("inflight", "Requests between arrival and answer.")
        self._golden_score = gauge("golden_score", "Last score of the golden image.")
        self._memory = gauge("device_memory_bytes", "Memory of the device.", ("kind",))
        self._begin_at_zero()
        ProcessCollector(registry=registry)
        self._model_info = gauge("model_info", "The loaded model; always 1.", ("name", "version"))

    def _begin_at_zero(self) -> None:
        """Write down what has not happened yet: Prometheus sees no increase in a series that begins at 1."""
        codes = [leaf.code for leaf in ServiceError.leaves()]
        for outcome in ("ok", "ng", ServiceError.code, *codes):
            self._requests.labels(outcome)
        for leaf in UnavailableError.leaves():
            self._rejected.labels(leaf.code)
        self._verdicts_begin(_UNPROFILED)

    def _verdicts_begin(self, product: str) -> None:
        for result in ("OK", "NG"):
            self._verdicts.labels(product, result)

    def observe_batch(self, size: int) -> None:
        """Count one batch of the given size; safe on any thread."""
        self._batch_size.observe(size)

    def observe_request(self, record: RequestRecord) -> None:
        """Count each image of an inspection request that has been answered; others are not counted."""
        for part in record.parts:
            lost = part.inspection is None or record.outcome != "answered"  # with the whole request
            if part.code is None and lost:
                part.code, part.status = record.code, record.status
            self.observe_request(part)
        if record.parts or not record.inspects:
            return
        self._requests.labels(record.outcome).inc()
        if record.inspection is not None:  # a refusal's microseconds would hide slow inspections
            self._duration.observe(record.elapsed_s)
        if record.status == 503 and record.code is not None:
            self._rejected.labels(record.code).inc()
        if record.status == 504:
            self._late.inc()
        for stage, seconds in record.stages_s():
            self._stage.labels(stage).observe(seconds)
        if record.outcome in ("ok", "ng") and record.inspection is not None:
            verdict = record.inspection.verdict
            product = record.inspection.basis.label or _UNPROFILED
            self._verdicts.labels(product, verdict.result).inc()
            self._score.labels(product).observe(verdict.score)

    def exposition(
        self,
        snapshot: Snapshot,
        device_memory: Mapping[str, int],
        products: Iterable[ProductState] = (),
    ) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._ready.set(snapshot.state is State.READY)
        self._queue_depth.set(snapshot.queue_depth)
        self._queue_limit.set(snapshot.queue_limit)
        self._inflight.set(snapshot.inflight)
        self._golden_score.set(snapshot.golden_score)
        for kind, size in device_memory.items():
            self._memory.labels(kind).set(size)
        if snapshot.model is not None:
            self._model_info.labels(snapshot.model.name, snapshot.model.version).set(1)
        self._show_products(products)
        return generate_latest(self._registry)

    def _show_products(self, products: Iterable[ProductState]) -> None:
        for gauge in (self._stale, self._psi, self._psi_limit):
            gauge.clear()  # a product that was rolled back is not shown as it was last
        for state in products:
            self._verdicts_begin(state.label)
            self._stale.labels(state.label).set(state.stale)
            if state.drift is not None:
                self._psi.labels(state.label).set(state.drift.psi)
                self._psi_limit.labels(state.label).set(state.drift.limit)
