"""What is known of one request, and the one log line that is written of it.

Knows a request's ends and its engine's findings; knows neither how requests are parsed nor what is counted.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from app.engine.inspection import Inspection

logger = logging.getLogger(__name__)


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
        sequence: as sent; 0 where none was.
        key: name of the API key, empty where none was asked for or given.
        inspects: whether it asks for an inspection.
        status: of the answer; 500 until there is one.
        code: stable name of the problem, if it ended in one.
        detail: what the caller was told of it; untrusted text. Empty for bugs, which are logged by themselves.
        inspection: what the engine found, if it got that far.
        parts: one record for each image of a batch.
    """

    request_id: str
    method: str
    path: str
    started_at: float = field(default_factory=time.perf_counter)
    trace_id: str = ""
    part_id: str = ""
    sequence: int = 0
    key: str = ""
    inspects: bool = False
    status: int = 500
    code: str | None = None
    detail: str = ""
    inspection: Inspection | None = None
    parts: list["RequestRecord"] = field(default_factory=list)

    def part(self) -> "RequestRecord":
        """Add the record of one image of a batch."""
        part = replace(self, parts=[], inspection=None)
        self.parts.append(part)
        return part

    def settle(self) -> None:
        """Let the images of a batch that have no end of their own, or lost it with the whole, end as it did."""
        for part in self.parts:
            lost = part.inspection is None or self.outcome != "answered"
            if part.code is None and lost:
                part.code, part.status = self.code, self.status

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
    """Write the request's line; what changes nothing and answers as it should is written at DEBUG only."""
    expected = record.status in (200, 503) and record.method == "GET"
    level = logging.DEBUG if expected else logging.INFO
    logger.log(level, "request", extra={"fields": dict(_log_fields(record))})


def _log_fields(record: RequestRecord) -> Iterator[tuple[str, Any]]:
    yield "request_id", record.request_id
    for name in ("trace_id", "key", "part_id", "sequence"):
        if value := getattr(record, name):
            yield name, value
    yield "method", record.method
    yield "path", record.path
    yield "status", record.status
    yield "outcome", record.outcome
    if record.detail:
        yield "detail", record.detail
    if record.parts:
        yield "outcomes", [part.outcome for part in record.parts]
        if any(part.detail for part in record.parts):
            yield "details", [part.detail for part in record.parts]
    if record.inspection is not None:
        verdict, label = record.inspection.verdict, record.inspection.basis.label
        yield "score", round(verdict.score, 4)
        yield "threshold", verdict.threshold
        if label is not None:
            yield "product", label
            yield "profile_version", verdict.profile_version
        if record.inspection.basis.warnings and verdict.threshold_source == "bundle":
            yield "warnings", record.inspection.basis.warnings
        yield "batch_size", record.inspection.batch_size
    for stage, seconds in record.stages_s():
        yield f"{stage}_ms", round(1000 * seconds, 1)
    yield "total_ms", round(1000 * record.elapsed_s, 1)
