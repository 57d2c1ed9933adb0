"""What routes are given: the pieces `create_app` wired, and the request's own record.

Knows where the pieces are kept; makes none.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from app.api.body import BodyRoom
from app.api.keys import ApiKeys
from app.engine.calibrator import Calibrator
from app.engine.image_files import ImageFiles
from app.engine.lifecycle import Engine
from app.metrics import Metrics
from app.products.live import Products
from app.records import RequestRecord
from app.settings import Settings


def _wired(name: str) -> Callable[[Request], Awaitable[Any]]:
    """Return the dependency that hands out one of `create_app`'s pieces."""

    async def piece(request: Request) -> Any:
        return getattr(request.app.state, name)

    return piece


async def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record


def _room_in(budget: str) -> Callable[[Request], AsyncIterator[BodyRoom]]:
    """Return the dependency that hands out a request's room in one of the budgets, until its answer."""

    async def room(request: Request) -> AsyncIterator[BodyRoom]:
        with BodyRoom(getattr(request.app.state, budget)) as taken:
            yield taken

    return room


RoomDep = Annotated[BodyRoom, Depends(_room_in("body_budget"))]
CalibrationRoomDep = Annotated[BodyRoom, Depends(_room_in("calibration_budget"))]
CalibratorDep = Annotated[Calibrator, Depends(_wired("calibrator"))]
ProductsDep = Annotated[Products, Depends(_wired("products"))]
ImageFilesDep = Annotated[ImageFiles, Depends(_wired("image_files"))]
EngineDep = Annotated[Engine, Depends(_wired("engine"))]
MetricsDep = Annotated[Metrics, Depends(_wired("metrics"))]
SettingsDep = Annotated[Settings, Depends(_wired("settings"))]
KeysDep = Annotated[ApiKeys, Depends(_wired("keys"))]
RecordDep = Annotated[RequestRecord, Depends(_record)]
