"""A plain FastAPI endpoint, as a tutorial would write it: one image a call, no batching.

Decoding and drawing run in FastAPI's thread pool; a lock keeps the model to one thread at a time, as its
contract asks. One uvicorn worker a core, as FastAPI's deployment guide has it. FastAPI offers no time-out.
"""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Request

from benchmarks.serving.servers.inspection import Inspection, read_plan


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.inspection = Inspection()
    app.state.lock = threading.Lock()
    yield


app = FastAPI(lifespan=_lifespan)


async def _body(request: Request) -> bytes:
    return await request.body()


@app.post("/detect")
def detect(request: Request, image: Annotated[bytes, Depends(_body)]) -> dict[str, Any]:
    """Inspect one image."""
    inspection: Inspection = request.app.state.inspection
    opened = inspection.open(image)
    with request.app.state.lock:
        prediction = inspection.predict([opened])[0]
    return inspection.conclude(opened, prediction)


@app.get("/health")
def health() -> str:
    """Answer as soon as the model is loaded."""
    return "ok"


if __name__ == "__main__":
    plan = read_plan()
    uvicorn.run(
        "benchmarks.serving.servers.fastapi_plain:app",
        host="127.0.0.1",
        port=plan.port,
        workers=plan.workers,
        access_log=False,
    )
