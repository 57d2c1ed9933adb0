"""What operators watch: one process's metrics, in Prometheus' text format.

Knows what is counted and under which name; knows neither how requests are parsed nor how images are inspected.
"""

import threading
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from app.engine.state import Snapshot, State
from app.errors import ServiceError, UnavailableError
from app.products.live import ProductState
from app.products.profile import UNPROFILED
from app.records import RequestRecord

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
_SCORES = tuple(i / 20 for i in range(1, 21))
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """One process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._writing = threading.Lock()  # one exposition would clear the other's products

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
        self._inflight = gauge(
            "inflight",
            "Requests whose body is in and whose answer is not made; a batch's images count by themselves too.",
        )
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
        self._verdicts_begin(UNPROFILED)

    def _verdicts_begin(self, product: str) -> None:
        for result in ("OK", "NG"):
            self._verdicts.labels(product, result)

    def observe_batch(self, size: int) -> None:
        """Count one batch of the given size; safe on any thread."""
        self._batch_size.observe(size)

    def observe_request(self, record: RequestRecord) -> None:
        """Count each image of an inspection request that is answered and settled; others are not counted."""
        if record.inspects:
            for image in record.parts or [record]:
                self._observe_image(image)

    def _observe_image(self, record: RequestRecord) -> None:
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
            # Callers' free text must not grow the label set: only products with a profile have their own.
            product = record.inspection.basis.label or UNPROFILED
            self._verdicts.labels(product, verdict.result).inc()
            self._score.labels(product).observe(verdict.score)

    def exposition(
        self,
        snapshot: Snapshot,
        device_memory: Mapping[str, int],
        products: Iterable[ProductState] = (),
    ) -> bytes:
        """Return all metrics in Prometheus' text format; safe on any thread."""
        with self._writing:
            self._show_engine(snapshot, device_memory)
            self._show_products(products)
            return generate_latest(self._registry)

    def _show_engine(self, snapshot: Snapshot, device_memory: Mapping[str, int]) -> None:
        self._ready.set(snapshot.state is State.READY)
        self._queue_depth.set(snapshot.queue_depth)
        self._queue_limit.set(snapshot.queue_limit)
        self._inflight.set(snapshot.inflight)
        self._golden_score.set(snapshot.golden_score)
        for kind, size in device_memory.items():
            self._memory.labels(kind).set(size)
        if snapshot.model is not None:
            self._model_info.labels(snapshot.model.name, snapshot.model.version).set(1)

    def _show_products(self, products: Iterable[ProductState]) -> None:
        for gauge in (self._stale, self._psi, self._psi_limit):
            gauge.clear()  # a product that was rolled back is not shown as it was last
        for state in products:
            self._verdicts_begin(state.label)
            self._stale.labels(state.label).set(state.stale)
            if state.drift is not None:
                self._psi.labels(state.label).set(state.drift.psi)
                self._psi_limit.labels(state.label).set(state.drift.limit)
