"""What routes are given: the pieces `create_app` wired, and the request's own record.

Knows where the pieces are kept; makes none.
"""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from app.api.body import BodyRoom
from app.api.keys import ApiKeys
from app.engine.calibrator import Calibrator
from app.engine.image_files import ImageFiles
from app.engine.lifecycle import Engine
from app.errors import OtherSiteError
from app.metrics import Metrics
from app.products.live import Products
from app.records import RequestRecord
from app.settings import Settings

_KEY = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    description="Where the service asks for keys; `Authorization: Bearer <key>` does as well.",
)


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def inspects(
    request: Request,
    key: Annotated[str | None, Security(_KEY)],
) -> None:
    """Mark a request as one for an inspection, and ask for its key where keys are asked for."""
    request.state.record.inspects = True
    await may_ask(request, key)


async def may_ask(
    request: Request,
    key: Annotated[str | None, Security(_KEY)],
) -> None:
    """Ask for the request's key where keys are asked for."""
    record: RequestRecord = request.state.record
    keys: ApiKeys = request.app.state.keys
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = {key or "", bearer.strip() if scheme.lower() == "bearer" else ""} - {""}
    record.key = keys.identify(given)  # a refusal's log line names it too
    keys.admit(record.key)


async def from_no_other_site(request: Request) -> None:
    """Refuse a change that another site's page had a browser ask for: its user knows nothing of it.

    A browser names the page's origin with every such request, and its relation to this host where the
    connection is a safe one; other callers send neither.

    Raises:
        OtherSiteError: it did.
    """
    if request.method == "GET":
        return
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    relation = request.headers.get("sec-fetch-site")
    if relation is None and origin is not None:
        relation = "same-origin" if _host_of(origin) == host.lower() else "other"
    if relation not in (None, "same-origin", "none"):
        raise OtherSiteError(f"a page of {origin} may change nothing at {host}")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # `http://[`: no browser's
        return None


async def _room(request: Request) -> AsyncIterator[BodyRoom]:
    with BodyRoom(request.app.state.body_budget) as room:
        yield room


async def _calibration_room(request: Request) -> AsyncIterator[BodyRoom]:
    with BodyRoom(request.app.state.calibration_budget) as room:
        yield room


async def _calibrator(request: Request) -> Calibrator:
    calibrator: Calibrator = request.app.state.calibrator
    return calibrator


async def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record


async def _keys(request: Request) -> ApiKeys:
    keys: ApiKeys = request.app.state.keys
    return keys


async def _image_files(request: Request) -> ImageFiles:
    files: ImageFiles = request.app.state.image_files
    return files


async def _products(request: Request) -> Products:
    products: Products = request.app.state.products
    return products


RoomDep = Annotated[BodyRoom, Depends(_room)]
CalibrationRoomDep = Annotated[BodyRoom, Depends(_calibration_room)]
CalibratorDep = Annotated[Calibrator, Depends(_calibrator)]
ProductsDep = Annotated[Products, Depends(_products)]
ImageFilesDep = Annotated[ImageFiles, Depends(_image_files)]
EngineDep = Annotated[Engine, Depends(_engine)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
SettingsDep = Annotated[Settings, Depends(_settings)]
KeysDep = Annotated[ApiKeys, Depends(_keys)]
RecordDep = Annotated[RequestRecord, Depends(_record)]
