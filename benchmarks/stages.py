"""The stages of one image, as the service does them for a caller without wishes.

Knows decoding, scores, regions and drawing; knows neither threads nor HTTP.
"""

from dataclasses import dataclass

from PIL import Image

from app.engine.decode import decode_reduced
from app.engine.geometry import Box, Size
from app.engine.inspector import reduction
from app.engine.regions import Region, find_regions
from app.engine.render import Heatmap, HeatmapOptions, heatmap_size, render, shrink
from app.engine.verdict import Result, checked, decide
from app.runtime.protocol import ModelInfo, Prediction, Query, Runtime

PRODUCT = "object"


@dataclass(frozen=True)
class Opened:
    """A decoded image on its way to the model."""

    query: Query
    size: Size
    drawn: Size
    picture: Image.Image


@dataclass(frozen=True)
class Concluded:
    """What is known of an image at the end."""

    result: Result
    prediction: Prediction
    regions: list[Region]
    heatmap: Heatmap | None


def open_picture(data: bytes, runtime: Runtime, max_pixels: int) -> Opened:
    """Decode and prepare one image."""
    image, by = decode_reduced(
        data, max_pixels, lambda size: reduction(Box.whole(size), size, runtime.side_px)
    )
    size = Size(by * image.shape[1], by * image.shape[0])
    drawn = heatmap_size(size, HeatmapOptions())
    return Opened(Query(runtime.prepare(image), PRODUCT), size, drawn, shrink(image, drawn))


def conclude(opened: Opened, prediction: Prediction, model: ModelInfo) -> Concluded:
    """Decide, find regions, draw."""
    found = checked(prediction)
    result = decide(found.score, model.default_threshold)
    anomaly_map, threshold = found.anomaly_map, model.map_threshold
    whole, drawn = Box.whole(opened.size), Box.whole(opened.drawn)
    return Concluded(
        result,
        found,
        find_regions(anomaly_map, threshold, whole) if result is Result.NG else [],
        render(anomaly_map, threshold, opened.drawn, drawn, HeatmapOptions(), opened.picture),
    )
