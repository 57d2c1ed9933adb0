"""One image from bytes to a verdict: decode, queue, decide, draw.

Knows the order of the stages and which thread runs each; knows no HTTP and no model.
"""

import asyncio
import math
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.engine.batcher import Batcher
from app.engine.decode import decode, decode_reduced
from app.engine.geometry import Box, Size, scaled
from app.engine.image_threads import ImageThreads, Stage
from app.engine.inspection import Inspection, Order, StageTimes, ThresholdSource, Verdict
from app.engine.regions import find_regions
from app.engine.render import HeatmapKind, heatmap_size, render, shrink
from app.engine.verdict import Result, checked, decide
from app.errors import DeadlinePassedError, ParameterError
from app.products.live import Basis, Products
from app.runtime.protocol import ModelInfo, Prediction, Query, Runtime

_Drawn = tuple[HeatmapKind, bool]  # which heat map, and whether the file is decoded again for it
# Pixels a side that are decoded of a large JPEG for each that is needed. With two, scores moved by more than
# the JPEG's own loss moves them.
_PIXELS_SCORED, _PIXELS_DRAWN = 4, 2
_KEPT_PX = 1024  # longest side of a picture that is kept for its heat map, 4 MiB in Pillow
_LATEST = 0.1  # weight of the latest image in the running mean


@dataclass(frozen=True)
class _Opened:
    """A decoded image, reduced to what the later stages need while it waits."""

    query: Query
    area: Box
    drawn_size: Size
    drawn_area: Box
    picture: Image.Image | None


class Inspector:
    """Inspects images on one runtime."""

    def __init__(
        self,
        runtime: Runtime,
        batcher: Batcher,
        threads: ImageThreads,
        max_pixels: int,
        products: Products,
    ) -> None:
        """Make an inspector.

        Args:
            runtime: what prepares images and names the model.
            batcher: the queue in front of the runtime.
            threads: decode and draw.
            max_pixels: largest image, width times height.
            products: thresholds of products.
        """
        self._runtime, self._batcher, self._threads = runtime, batcher, threads
        self._max_pixels, self._products = max_pixels, products
        self._model = runtime.info
        self._conclude_s: dict[_Drawn, float] = {}  # running means: what is left after the queue

    @property
    def model(self) -> ModelInfo:
        """The model that scores."""
        return self._model

    def basis(self, product: str, roi: Box | None) -> Basis:
        """Find what decides a product's parts now."""
        area = None if roi is None else str(roi)
        return self._products.basis(product, area, self._model.digest)

    async def inspect(self, order: Order) -> Inspection:
        """Inspect one image.

        Raises:
            ServiceError: one of its leaves; there is no verdict then.
        """
        left = order.deadline - time.perf_counter()
        try:
            async with asyncio.timeout(None if left == math.inf else left) as limit:
                inspection = await self._inspect(order)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlinePassedError("there was no verdict in time") from None
        if time.perf_counter() > order.deadline:
            raise DeadlinePassedError("the verdict came too late")
        return inspection

    async def _inspect(self, order: Order) -> Inspection:
        started = time.perf_counter()
        basis = order.basis or self.basis(order.product, order.roi)
        turn = -math.inf if order.urgent else order.deadline
        opened = await self._threads.run(Stage.OPEN, turn, lambda: self._open(order))
        decoded = time.perf_counter()
        # Of what is left at most half is kept for drawing: a stale mean must not refuse for ever.
        drawn = (order.heatmap.kind, opened.picture is None)
        expected_s = self._conclude_s.get(drawn, 0.0)
        needed_by = order.deadline - min(expected_s, max(0.0, order.deadline - decoded) / 2)
        scored = await self._batcher.submit(opened.query, needed_by, urgent=order.urgent)
        computed = time.perf_counter()
        verdict = await self._threads.run(
            Stage.CONCLUDE,
            turn,
            lambda: self._conclude(order, opened, basis, scored.prediction),
        )
        concluded = time.perf_counter()
        self._conclude_s[drawn] = expected_s + _LATEST * (concluded - computed - expected_s)
        times = StageTimes(
            decode=decoded - started,
            queue=max(0.0, computed - decoded - scored.inference_s),
            inference=scored.inference_s,
            render=concluded - computed,
        )
        if order.counts:
            self._products.observe(basis, verdict.score)
        return Inspection(verdict, self._model, times, scored.batch_size, basis)

    def _open(self, order: Order) -> _Opened:
        image, by = decode_reduced(
            order.image,
            self._max_pixels,
            lambda size: reduction(_inspected(order.roi, size), size, self._runtime.side_px),
        )
        size = Size(by * image.shape[1], by * image.shape[0])
        area = _inspected(order.roi, size)
        top, left = area.y // by, area.x // by
        cropped = image[top : top + area.height // by, left : left + area.width // by]
        query = Query(self._runtime.prepare(np.ascontiguousarray(cropped)), order.product)
        wanted = order.heatmap.kind is not HeatmapKind.NONE
        drawn_size = heatmap_size(size, order.heatmap) if wanted else size
        # A picture at its full size, or a large one, is decoded again when it is drawn: many of them may wait.
        overlay = order.heatmap.kind is HeatmapKind.OVERLAY and order.heatmap.size_px is not None
        small = max(drawn_size.width, drawn_size.height) <= _KEPT_PX
        sharp = by == 1 or image.shape[1] >= _PIXELS_DRAWN * drawn_size.width
        picture = shrink(image, drawn_size) if overlay and small and sharp else None
        return _Opened(query, area, drawn_size, scaled(area, size, drawn_size), picture)

    def _conclude(
        self, order: Order, opened: _Opened, basis: Basis, prediction: Prediction
    ) -> Verdict:
        found = checked(prediction)
        threshold, source = self._threshold(order, basis)
        result = decide(found.score, threshold)
        anomaly_map, map_threshold = found.anomaly_map, self._model.map_threshold
        anomalous = result is Result.NG
        return Verdict(
            result=result,
            score=found.score,
            score_global=found.score_global,
            score_local=found.score_local,
            threshold=threshold,
            threshold_source=source,
            profile_version=basis.profile.version
            if source == "profile" and basis.profile is not None
            else None,
            regions=find_regions(anomaly_map, map_threshold, opened.area) if anomalous else [],
            heatmap=render(
                anomaly_map,
                map_threshold,
                opened.drawn_size,
                opened.drawn_area,
                order.heatmap,
                self._picture(order, opened),
            ),
        )

    def _threshold(self, order: Order, basis: Basis) -> tuple[float, ThresholdSource]:
        if order.threshold is not None:
            return order.threshold, "request"
        if basis.profile is not None:
            return basis.profile.threshold, "profile"
        return self._model.default_threshold, "bundle"

    def _picture(self, order: Order, opened: _Opened) -> Image.Image | None:
        if opened.picture is None and order.heatmap.kind is HeatmapKind.OVERLAY:
            return shrink(decode(order.image, self._max_pixels), opened.drawn_size)
        return opened.picture


def reduction(area: Box, image: Size, side_px: int) -> int:
    """Return by how much each side of a picture may shrink while it is decoded, 8 at most.

    So that nobody can tell by the score, enough pixels are left for the model, and the inspected area's edges
    lie between pixels.

    Args:
        area: what is inspected of it.
        image: its size.
        side_px: how many pixels a side the model looks at.
    """
    edges = (image.width, image.height, area.x, area.y, area.width, area.height)
    most = min(area.width, area.height) / (_PIXELS_SCORED * side_px)
    return next((by for by in (8, 4, 2) if by <= most and all(e % by == 0 for e in edges)), 1)


def _inspected(roi: Box | None, image: Size) -> Box:
    if roi is None:
        return Box.whole(image)
    if roi.x + roi.width > image.width or roi.y + roi.height > image.height:
        raise ParameterError(
            f"roi: {roi} does not lie within the image, which is {image.width} x {image.height} px"
        )
    return roi
