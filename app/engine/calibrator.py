"""Scores of many good parts, through the very queue and worker that serve, without holding up the line.

Knows how images are sent in and what to wait for; knows neither HTTP nor what is learnt from the scores.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.engine.geometry import Box
from app.engine.inspection import Order
from app.engine.lifecycle import Engine
from app.engine.render import HeatmapKind, HeatmapOptions
from app.errors import DeadlinePassedError, InferenceError, QueueFullError, RequestError
from app.products.calibration import NamedScore
from app.products.errors import CalibrationImageError

T = TypeVar("T")
MOST_CALIBRATIONS = 8  # one runs, the others wait with all their pictures in memory
AT_ONCE = 2  # so an image of the line waits for two others at most
LIMIT_S = 600.0
_AGAIN_S = 0.05  # where the line has filled the queue


@dataclass(frozen=True)
class GoodPart:
    """A picture that is said to show a good part.

    Attributes:
        name: file name, for people.
        read: gets the encoded picture when its turn comes.
    """

    name: str
    read: Callable[[], Awaitable[bytes]]


class Calibrator:
    """Scores the pictures of one calibration after the other; used on one event loop.

    However many are asked for, the line shares its places with the pictures of one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn, self._asked = asyncio.Lock(), 0

    async def score_all(
        self, parts: Sequence[GoodPart], product: str, roi: Box | None
    ) -> list[NamedScore]:
        """Score every picture, or none: all that wait behind a line's images, which have earlier deadlines.

        Raises:
            CalibrationImageError: one of them cannot be inspected; its name and the reason are in the message.
            QueueFullError: too many calibrations wait already.
            DeadlinePassedError: it took longer than `LIMIT_S`, other calibrations before it not counted.
            ServiceError: what keeps any image from its verdict.
        """
        if self._asked >= MOST_CALIBRATIONS:
            raise QueueFullError(f"{MOST_CALIBRATIONS} calibrations are under way already")
        self._asked += 1
        try:
            async with self._turn:
                return await _score_all(self._engine, parts, product, roi)
        finally:
            self._asked -= 1


async def _score_all(
    engine: Engine, parts: Sequence[GoodPart], product: str, roi: Box | None
) -> list[NamedScore]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(part: GoodPart) -> NamedScore:
        async with places:
            try:
                image = await _patiently(part.read)
                score = await _patiently(lambda: _score(engine, image, product, roi))
                return NamedScore(part.name, score)
            except (RequestError, InferenceError) as error:
                raise CalibrationImageError(f"{part.name}: {error}") from error

    tasks = [asyncio.ensure_future(one(part)) for part in parts]
    try:
        async with asyncio.timeout(LIMIT_S) as limit:
            return await asyncio.gather(*tasks)
    except TimeoutError:
        if not limit.expired():
            raise
        raise DeadlinePassedError(f"the pictures were not scored within {LIMIT_S:g} s") from None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do it as soon as the line's requests leave room, in the queue or on a share."""
    while True:
        with contextlib.suppress(QueueFullError):
            return await work()
        await asyncio.sleep(_AGAIN_S)


async def _score(engine: Engine, image: bytes, product: str, roi: Box | None) -> float:
    """Score one picture, at the lowest urgency."""
    order = Order(image, product, None, HeatmapOptions(HeatmapKind.NONE), roi, counts=False)
    with engine.admitted() as inspector:
        # As answers show it, so that everybody gets the same threshold from the same pictures.
        return round((await inspector.inspect(order)).verdict.score, 4)
