"""Probes and metrics; never behind a key, never behind the queue.

Knows what the engine says of itself; inspects nothing.
"""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from app.api.deps import EngineDep, MetricsDep, ProductsDep
from app.api.schemas import Health
from app.engine.state import State

router = APIRouter(tags=["operation"])

_NOT_OK: dict[int | str, dict[str, Any]] = {
    503: {"model": Health, "description": "It is not; `reason` says why."}
}


@router.get("/livez", response_model=Health, responses=_NOT_OK)
@router.get("/v2/health/live", response_model=Health, responses=_NOT_OK)
async def live(engine: EngineDep) -> Response:
    """Say whether event loop and worker threads are alive; if they are not, restart the process."""
    snapshot = engine.snapshot()
    return _health(snapshot.alive, "alive" if snapshot.alive else snapshot.state, snapshot.reason)


@router.get("/readyz", response_model=Health, responses=_NOT_OK)
@router.get("/v2/health/ready", response_model=Health, responses=_NOT_OK)
async def ready(engine: EngineDep) -> Response:
    """Say whether images are being inspected: the model is warm and the golden image has its score."""
    snapshot = engine.snapshot()
    return _health(snapshot.state is State.READY, snapshot.state, snapshot.reason)


@router.get("/metrics", response_class=Response)
async def metrics(engine: EngineDep, metrics: MetricsDep, products: ProductsDep) -> Response:
    """Return all metrics in Prometheus' text format, written on a thread: many products take a while."""
    snapshot = engine.snapshot()
    states = list(products.states(None if snapshot.model is None else snapshot.model.digest))
    text = await run_in_threadpool(metrics.exposition, snapshot, engine.device_memory(), states)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _health(fine: bool, status: str, reason: str) -> Response:
    body = Health(status=status, reason=reason).model_dump_json()
    return Response(body, 200 if fine else 503, media_type="application/json")
