"""One batch through the runtime; what goes wrong stays with the image that caused it.

Knows the runtime protocol; knows neither threads nor queues. This is the one place that catches everything:
whatever a model raises must not end the thread that owns the device. Only a lost device does.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import DeviceLostError, InferenceError
from app.runtime.protocol import OutOfDeviceMemoryError, Prediction, Query, Runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """One query's result.

    Attributes:
        prediction: the runtime's answer, not yet checked.
        batch_size: how many queries were computed together with it, itself included.
        inference_s: how long that took, with what the device still had to do before.
    """

    prediction: Prediction
    batch_size: int
    inference_s: float


Outcome = Scored | InferenceError


class Computer:
    """Scores batches on one runtime; used by all workers.

    Attributes:
        max_batch: most queries to give at once; sinks when the device runs out of memory.
    """

    def __init__(self, runtime: Runtime, max_batch: int) -> None:
        self._runtime = runtime
        self.max_batch = max_batch

    def compute(self, queries: Sequence[Query], *, alone: bool = True) -> list[Outcome]:
        """Score a batch, image by image if the whole of it fails, so that a poison image fails alone.

        Args:
            queries: at least one.
            alone: whether nothing else is computed meanwhile.

        Returns:
            One outcome per query, in the queries' order.

        Raises:
            DeviceLostError: the device failed for good, or twice had no memory for a single image.
        """
        return self._compute(queries, alone, once_more=False)

    def _compute(self, queries: Sequence[Query], alone: bool, *, once_more: bool) -> list[Outcome]:
        try:
            return list(self._predict(queries, alone))
        except DeviceLostError:
            raise
        except OutOfDeviceMemoryError as error:
            if once_more:
                raise DeviceLostError("the device twice had no memory for one image") from error
            parts = self._halved(queries)
        except Exception as error:  # noqa: BLE001
            if len(queries) == 1:
                return [_failure(error)]
            logger.warning("batch of %d failed, retrying one by one: %r", len(queries), error)
            parts = [[query] for query in queries]
        # Out here the error and what it holds of the device's memory are gone.
        single = len(queries) == 1
        return [o for part in parts for o in self._compute(part, alone, once_more=single)]

    def _halved(self, queries: Sequence[Query]) -> list[Sequence[Query]]:
        half = len(queries) // 2
        if not half:
            logger.warning("out of memory at one image; trying it once more")
            return [queries]
        self.max_batch = min(self.max_batch, half)
        logger.warning("out of memory at %d images; batches are halved", len(queries))
        return [queries[:half], queries[half:]]

    def _predict(self, queries: Sequence[Query], alone: bool) -> list[Scored]:
        started = time.perf_counter()
        predictions = self._runtime.predict(queries, alone=alone)
        elapsed = time.perf_counter() - started
        if len(predictions) != len(queries):
            raise ValueError(f"{len(predictions)} predictions for {len(queries)} queries")
        return [Scored(prediction, len(queries), elapsed) for prediction in predictions]


def _failure(error: Exception) -> InferenceError:
    failure = InferenceError("the runtime raised")
    failure.__cause__ = error
    return failure
