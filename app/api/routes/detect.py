"""`POST /v1/detect`: one image in, one verdict out. The reading order of a request starts here."""

import time
from functools import partial

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from app.api.access import for_inspection
from app.api.body import read_body, unless_gone
from app.api.deps import EngineDep, ImageFilesDep, RecordDep, RoomDep, SettingsDep
from app.api.forms import Received, read_as
from app.api.openapi import DETECT_DESCRIPTION, detect_openapi, detect_responses
from app.api.receive import beside_loop, take_apart
from app.api.schemas import Answer, DetectParameters
from app.api.small_answers import MEDIA_TYPES, Echo, SmallAnswer, small_answer
from app.engine.image_files import ImageFiles
from app.errors import DeadlinePassedError, ImageMissingError
from app.records import RequestRecord

router = APIRouter(tags=["inspection"], dependencies=[Depends(for_inspection)])


@router.post(
    "/v1/detect",
    summary="Inspect one image",
    description=DETECT_DESCRIPTION,
    response_model=Answer | SmallAnswer,
    responses=detect_responses(),
    openapi_extra=detect_openapi(),
)
async def detect(
    request: Request,
    engine: EngineDep,
    settings: SettingsDep,
    record: RecordDep,
    files: ImageFilesDep,
    room: RoomDep,
) -> Response:
    """Read the request, have it inspected, write the answer; all of it before the deadline."""
    engine.refuse_if_unavailable()
    body = await read_body(request, room, settings)
    with engine.admitted() as inspector:
        received = await take_apart(request, body)
        parameters = read_as(DetectParameters, received.pairs)
        deadline = parameters.deadline(record.started_at, settings.default_deadline_ms)
        image = await _image(request, received, parameters, files, deadline)
        if parameters.image_path is not None:  # a file in memory counts like a body
            room.take(len(image))
        order = parameters.order(image, deadline)
        record.inspection = await unless_gone(request, inspector.inspect(order))
        heatmap = record.inspection.verdict.heatmap
        size = 0 if heatmap is None else len(heatmap.data)
        response = await beside_loop(size, partial(_response, request, record, parameters))
        if time.perf_counter() > deadline:
            raise DeadlinePassedError("the answer was not written in time")
    return response


async def _image(
    request: Request,
    received: Received,
    parameters: DetectParameters,
    files: ImageFiles,
    deadline: float,
) -> bytes:
    """Return the image that was sent, or the one whose path was."""
    if parameters.image_path is None:
        return received.image()
    if received.images:
        raise ImageMissingError("send `image` or `image_path`, not both")
    return await unless_gone(request, files.read(parameters.image_path, deadline))


def _response(request: Request, record: RequestRecord, parameters: DetectParameters) -> Response:
    assert record.inspection is not None  # noqa: S101
    answer = Answer.of(record.inspection, parameters, record.request_id, record.elapsed_s)
    echo: Echo = request.state.echo
    if echo.profile == "full":
        return Response(to_json(answer), media_type="application/json")  # bytes at once
    headers = {"Content-Type": MEDIA_TYPES[echo.profile]}
    return Response(small_answer(answer, echo), headers=headers)
