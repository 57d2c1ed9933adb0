"""The work every peer does: the service's own stages, in the service's order, without its HTTP and its queue.

Knows decoding, the runtime and drawing; knows no framework. Peers differ in who calls these, on which thread.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.runtime.lanes import SideBySide
from app.runtime.protocol import Prediction
from app.runtime.ssvp import SSVPRuntime, load_runtime
from benchmarks.stages import Opened, conclude, open_picture

MAX_PIXELS = 64_000_000
MAX_BATCH = 8


@dataclass(frozen=True)
class Plan:
    """How `run.py` wants a peer to be started; OMP_NUM_THREADS says how many threads each model has.

    Attributes:
        port: TCP port.
        workers: processes, replicas or instances that each hold the model.
        deadline_s: a caller's patience; 0: unlimited.
    """

    port: int
    workers: int
    deadline_s: float


def read_plan() -> Plan:
    """Read the `PEER_*` variables."""
    return Plan(
        port=int(os.environ["PEER_PORT"]),
        workers=int(os.environ["PEER_WORKERS"]),
        deadline_s=float(os.environ["PEER_DEADLINE_S"]),
    )


class Inspection:
    """The stages of one image and the model they need."""

    def __init__(self) -> None:
        self._runtime: SSVPRuntime = load_runtime("ssvp-nano", "cpu")
        self._runtime.warm_up()
        self._lanes = SideBySide(self._runtime)
        self._model = self._runtime.info

    def open(self, data: bytes) -> Opened:
        """Decode and prepare one image."""
        return open_picture(data, self._runtime, MAX_PIXELS)

    def predict(self, opened: Sequence[Opened]) -> list[Prediction]:
        """Score a batch; from one thread at a time."""
        return self._lanes.predict([o.query for o in opened])

    def conclude(self, opened: Opened, prediction: Prediction) -> dict[str, Any]:
        """Decide, find regions, draw: the answer as a caller gets it."""
        concluded = conclude(opened, prediction, self._model)
        found, heatmap = concluded.prediction, concluded.heatmap
        assert heatmap is not None  # noqa: S101
        return {
            "result": concluded.result.value,
            "score": found.score,
            "score_global": found.score_global,
            "score_local": found.score_local,
            "threshold": self._model.default_threshold,
            "regions": [asdict(region) for region in concluded.regions],
            "heatmap": {
                "media_type": heatmap.media_type,
                "width": heatmap.size.width,
                "height": heatmap.size.height,
                "data": base64.b64encode(heatmap.data).decode("ascii"),
            },
        }

    def inspect(self, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """Do all of it for a batch, one stage after the other."""
        opened = [self.open(data) for data in images]
        predictions = self.predict(opened)
        return [self.conclude(o, p) for o, p in zip(opened, predictions, strict=True)]
