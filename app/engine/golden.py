"""The golden image: proof that queue, worker and model still compute what they did when the bundle was made.

Knows how to inspect it and what to think of the outcome; knows no state of the service.
"""

import logging
import math
import time
from dataclasses import dataclass

from app.engine.inspection import Order
from app.engine.inspector import Inspector
from app.engine.render import HeatmapKind, HeatmapOptions
from app.errors import LateError, PredictionError, ServiceError
from app.runtime.protocol import GoldenImage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GoldenFinding:
    """What one inspection of the golden image showed.

    Attributes:
        complaint: what is wrong, in words; empty for a pass.
        wrong: the model computes, but not what it should: no verdict of it may leave.
        score: what it scored, NaN where there was no score.
    """

    complaint: str = ""
    wrong: bool = False
    score: float = math.nan


async def inspect_golden(
    inspector: Inspector, golden: GoldenImage, limit_s: float
) -> GoldenFinding:
    """Inspect the golden image through the queue and worker that serve.

    Args:
        inspector: that serves.
        golden: the image with its score.
        limit_s: when to give up.
    """
    options = HeatmapOptions(HeatmapKind.NONE)
    deadline = time.perf_counter() + limit_s
    order = Order(
        golden.png, golden.product, None, options, deadline=deadline, urgent=True, counts=False
    )
    try:
        inspection = await inspector.inspect(order)
    except LateError:
        return GoldenFinding(f"the golden image was not inspected within {limit_s:g} s")
    except ServiceError as error:
        logger.error("the golden image could not be inspected", exc_info=error)
        complaint = f"the golden image could not be inspected: {error.code}"
        return GoldenFinding(complaint, wrong=isinstance(error, PredictionError))
    score = inspection.verdict.score
    if abs(score - golden.score) <= golden.tolerance:
        return GoldenFinding(score=score)
    complaint = (
        f"the golden image scored {score:.6f}, not {golden.score:.6f} +- {golden.tolerance:.6f}"
    )
    return GoldenFinding(complaint, wrong=True, score=score)
