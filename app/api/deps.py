"""What routes are given: the pieces `create_app` wired, and the request's own record.

Knows where the pieces are kept; makes none.
"""

from typing import Annotated

from fastapi import Depends, Request

from app.engine.lifecycle import Engine
from app.observability import Metrics, RequestRecord
from app.settings import Settings


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record


EngineDep = Annotated[Engine, Depends(_engine)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
SettingsDep = Annotated[Settings, Depends(_settings)]
RecordDep = Annotated[RequestRecord, Depends(_record)]
