"""BentoML: one service with a batchable method and adaptive batching, one worker a core.

Its traffic time-out ends a call at the deadline, and its dispatcher gives up what it expects to be later.
"""

import base64
from typing import Any

import bentoml

from benchmarks.serving.servers.inspection import MAX_BATCH, Inspection, read_plan

_PLAN = read_plan()
_PATIENCE_S = _PLAN.deadline_s or 60.0


@bentoml.service(
    workers=_PLAN.workers,
    traffic={"timeout": _PATIENCE_S},
    logging={"access": {"enabled": False}},
)
class InspectionService:
    """The model, in each worker."""

    def __init__(self) -> None:
        self._inspection = Inspection()

    @bentoml.api(  # type: ignore[untyped-decorator]
        batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=int(1000 * _PATIENCE_S)
    )
    def detect(self, images: list[str]) -> list[dict[str, Any]]:
        """Inspect a batch of base64 images."""
        return self._inspection.inspect([base64.b64decode(image) for image in images])
