"""An inspection: what a caller may ask for, and what is found.

Knows no stage and no thread; knows no HTTP.
"""

import math
from dataclasses import dataclass
from typing import Literal

from app.engine.geometry import Box
from app.engine.regions import Region
from app.engine.render import Heatmap, HeatmapOptions
from app.engine.verdict import Result
from app.products.live import Basis
from app.runtime.protocol import ModelInfo

ThresholdSource = Literal["request", "profile", "bundle"]


@dataclass(frozen=True)
class Order:
    """One image that a caller wants inspected, and how.

    Attributes:
        image: encoded picture.
        product: spoken product name.
        threshold: image-level threshold in [0, 1]; None takes the product profile's, or else the bundle's.
        heatmap: which heat map to draw.
        roi: the part of the image that is inspected; None is all of it.
        deadline: `time.perf_counter()` value after which nobody waits for the verdict.
        urgent: have the next thread of each stage, and enter a full queue too, at its head.
        basis: what decides, where that was found before; several images of a request share it.
        counts: whether the score is one of the line's, whose drift is watched.
    """

    image: bytes
    product: str
    threshold: float | None
    heatmap: HeatmapOptions
    roi: Box | None = None
    deadline: float = math.inf
    urgent: bool = False
    basis: Basis | None = None
    counts: bool = True


@dataclass(frozen=True)
class StageTimes:
    """Seconds spent in each stage, waiting for its thread included."""

    decode: float
    queue: float
    inference: float
    render: float


@dataclass(frozen=True)
class Verdict:
    """OK or NG, and what it rests on."""

    result: Result
    score: float
    score_global: float
    score_local: float
    threshold: float
    threshold_source: ThresholdSource
    profile_version: int | None
    regions: list[Region]
    heatmap: Heatmap | None


@dataclass(frozen=True)
class Inspection:
    """The verdict on one image and how it was reached."""

    verdict: Verdict
    model: ModelInfo
    times: StageTimes
    batch_size: int
    basis: Basis
