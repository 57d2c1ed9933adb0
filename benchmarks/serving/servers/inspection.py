"""The work every peer does: the service's own stages, in the service's order, without its HTTP and its queue.

Knows decoding, the runtime and drawing; knows no framework. Peers differ in who calls these, on which thread.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from app.engine.decode import decode
from app.engine.regions import Box, Size, find_regions
from app.engine.render import HeatmapOptions, heatmap_size, render, shrink
from app.engine.verdict import Result, checked, decide
from app.runtime.lanes import SideBySide
from app.runtime.protocol import Prediction, Query
from app.runtime.ssvp import SSVPRuntime, load_runtime

MAX_PIXELS = 64_000_000
MAX_BATCH = 8
PRODUCT = "object"


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


@dataclass(frozen=True)
class Opened:
    """A decoded image on its way to the model."""

    query: Query
    size: Size
    drawn: Size
    picture: Image.Image


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
        image = decode(data, MAX_PIXELS)
        size = Size(image.shape[1], image.shape[0])
        drawn = heatmap_size(size, HeatmapOptions())
        query = Query(self._runtime.prepare(image), PRODUCT)
        return Opened(query, size, drawn, shrink(image, drawn))

    def predict(self, opened: Sequence[Opened]) -> list[Prediction]:
        """Score a batch; from one thread at a time."""
        return self._lanes.predict([o.query for o in opened])

    def conclude(self, opened: Opened, prediction: Prediction) -> dict[str, Any]:
        """Decide, find regions, draw: the answer as a caller gets it."""
        found, model = checked(prediction), self._model
        result = decide(found.score, model.default_threshold)
        whole = Box(0, 0, opened.size.width, opened.size.height)
        regions = (
            find_regions(found.anomaly_map, model.map_threshold, whole)
            if result is Result.NG
            else []
        )
        heatmap = render(
            found.anomaly_map,
            model.map_threshold,
            opened.drawn,
            Box(0, 0, opened.drawn.width, opened.drawn.height),
            HeatmapOptions(),
            opened.picture,
        )
        assert heatmap is not None  # noqa: S101
        return {
            "result": result.value,
            "score": found.score,
            "score_global": found.score_global,
            "score_local": found.score_local,
            "threshold": model.default_threshold,
            "regions": [asdict(region) for region in regions],
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
