"""What the engine is doing, as probes and metrics are told; decides nothing."""

from dataclasses import dataclass
from enum import StrEnum

from app.runtime.protocol import ModelInfo


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
        inflight: requests whose body is in and whose answer is not made, a batch's images besides.
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
