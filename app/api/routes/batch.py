"""`POST /v1/detect/batch`: several images of one call, each with its own result or its own error.

Knows how the images of one call share its deadline, its product's threshold and its caller's budget.
"""

import asyncio
import json
import time
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.access import for_inspection
from app.api.body import read_body, unless_gone
from app.api.deps import EngineDep, KeysDep, RecordDep, RoomDep, SettingsDep
from app.api.forms import NO_IMAGE, Received, read_as
from app.api.openapi import BATCH_DESCRIPTION, batch_openapi, problem_responses
from app.api.problems import describe, log_internal, note_problem
from app.api.receive import take_apart
from app.api.schemas import Answer, BatchAnswer, DetectParameters
from app.engine.lifecycle import Engine
from app.errors import DeadlinePassedError, ImageMissingError, ParameterError
from app.products.live import Basis
from app.records import RequestRecord

router = APIRouter(tags=["inspection"], dependencies=[Depends(for_inspection)])


@router.post(
    "/v1/detect/batch",
    summary="Inspect several images",
    description=BATCH_DESCRIPTION,
    response_model=BatchAnswer,
    responses=problem_responses(),
    openapi_extra=batch_openapi(),
)
async def detect_batch(
    request: Request,
    engine: EngineDep,
    settings: SettingsDep,
    record: RecordDep,
    keys: KeysDep,
    room: RoomDep,
) -> Response:
    """Read the request, have every image inspected, write the answers in the images' order."""
    engine.refuse_if_unavailable()
    body = await read_body(request, room, settings)
    with engine.admitted() as inspector:
        received = await take_apart(request, body)
        parameters = read_as(DetectParameters, received.pairs)
        if parameters.profile != "full" or parameters.image_path is not None:
            raise ParameterError("profile, image_path: not allowed in a batch")
        if not received.images:
            raise ImageMissingError(NO_IMAGE)
        keys.spend_more(record.key, len(received.images) - 1)
        basis = inspector.basis(parameters.product, parameters.roi)
        deadline = parameters.deadline(record.started_at, settings.default_deadline_ms)
        work = _inspect_all(engine, record, parameters, received, basis, deadline)
        results = await unless_gone(request, work)
        found = {"request_id": record.request_id, "results": results}
        written = await run_in_threadpool(json.dumps, found)
        if time.perf_counter() > deadline:
            raise DeadlinePassedError("the answer was not written in time")
    return Response(written, media_type="application/json")


async def _inspect_all(
    engine: Engine,
    record: RequestRecord,
    parameters: DetectParameters,
    received: Received,
    basis: Basis,
    deadline: float,
) -> list[dict[str, Any]]:
    async def one(image: bytes) -> dict[str, Any]:
        part = record.part()
        order = parameters.order(image, deadline, basis)
        try:
            with engine.admitted(part=True) as inspector:
                part.inspection = await inspector.inspect(order)
            part.status = 200
            return await run_in_threadpool(_result, part, parameters)
        except Exception as error:  # noqa: BLE001 - a bug on one image is not the others'
            log_internal(error, record.request_id)
            problem = describe(error, record.request_id)
            note_problem(part, problem)
            return problem.model_dump(mode="json", exclude_none=True)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(image.data)) for image in received.images]
    return [task.result() for task in tasks]


def _result(part: RequestRecord, parameters: DetectParameters) -> dict[str, Any]:
    assert part.inspection is not None  # noqa: S101
    answer = Answer.of(part.inspection, parameters, part.request_id, part.elapsed_s)
    return {"status": 200, **answer.model_dump(mode="json")}
