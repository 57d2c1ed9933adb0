"""Ray Serve: one replica a core, each with `serve.batch`.

Decoding and drawing run in a thread beside the replica's event loop, scoring too, as Ray's asyncio guide asks
of blocking code. Batches are opportunistic (no waiting). HAProxy in front and the throughput options are what
Ray's guide to high throughput sets. Its request time-out is the deadline.
"""

import asyncio
import signal
import threading
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from app.runtime.protocol import Prediction
from benchmarks.serving.servers.inspection import MAX_BATCH, Inspection, read_plan
from benchmarks.stages import Opened


@serve.deployment
class InspectionDeployment:
    """The model, in each replica."""

    def __init__(self) -> None:
        self._inspection = Inspection()

    @serve.batch(  # type: ignore[untyped-decorator]
        max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.0
    )
    async def _predict(self, opened: list[Opened]) -> list[Prediction]:
        return await asyncio.to_thread(self._inspection.predict, opened)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Inspect one image."""
        data = await request.body()
        opened = await asyncio.to_thread(self._inspection.open, data)
        prediction = await self._predict(opened)
        return await asyncio.to_thread(self._inspection.conclude, opened, prediction)


if __name__ == "__main__":
    plan = read_plan()
    ray.init(num_cpus=plan.workers, include_dashboard=False, logging_level="warning")
    serve.start(
        http_options={
            "host": "127.0.0.1",
            "port": plan.port,
            "request_timeout_s": plan.deadline_s or None,
        }
    )
    deployment = InspectionDeployment.options(  # type: ignore[attr-defined]  # the decorator adds it
        num_replicas=plan.workers,
        # As many as make two full batches: one being scored, one being decoded and drawn.
        max_ongoing_requests=2 * MAX_BATCH,
        ray_actor_options={"num_cpus": 1},
    )
    serve.run(deployment.bind(), route_prefix="/detect")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    stopping.wait()
    serve.shutdown()
    ray.shutdown()
