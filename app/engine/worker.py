"""One batch through the runtime; what goes wrong stays with the image that caused it.

Knows the runtime protocol; knows neither threads nor queues. This is the one place that catches everything:
whatever a model raises must not end the thread that owns the device.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import InferenceError
from app.runtime.protocol import Prediction, Query, Runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """One query's result.

    Attributes:
        prediction: the runtime's answer, not yet checked.
        batch_size: how many queries were computed together with it, itself included.
        inference_s: how long that took.
    """

    prediction: Prediction
    batch_size: int
    inference_s: float


Outcome = Scored | InferenceError


def compute(runtime: Runtime, queries: Sequence[Query]) -> list[Outcome]:
    """Score a batch, image by image if the whole of it fails, so that a poison image fails alone.

    Returns:
        One outcome per query, in the queries' order.
    """
    try:
        return list(_predict(runtime, queries))
    except Exception as error:  # noqa: BLE001
        if len(queries) > 1:
            logger.warning("batch of %d failed, retrying one by one: %r", len(queries), error)
            return [outcome for query in queries for outcome in compute(runtime, [query])]
        failure = InferenceError("the runtime raised")
        failure.__cause__ = error
        return [failure]


def _predict(runtime: Runtime, queries: Sequence[Query]) -> list[Scored]:
    started = time.perf_counter()
    predictions = runtime.predict(queries)
    elapsed = time.perf_counter() - started
    if len(predictions) != len(queries):
        raise ValueError(f"{len(predictions)} predictions for {len(queries)} queries")
    return [Scored(prediction, len(queries), elapsed) for prediction in predictions]
