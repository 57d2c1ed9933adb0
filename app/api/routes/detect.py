"""`POST /v1/detect`: one image in, one verdict out. The reading order of a request starts here."""

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.body import read_body, unless_gone
from app.api.deps import EngineDep, RecordDep, SettingsDep, inspects
from app.api.examples import DETECT_DESCRIPTION, detect_openapi, detect_responses
from app.api.forms import Received, read_parameters, receive
from app.api.profiles import MEDIA_TYPES, Echo, small_answer
from app.api.schemas import Answer, DetectParameters
from app.engine.image_files import read_image_file
from app.errors import ImageMissingError, ParameterError
from app.observability import RequestRecord
from app.settings import Settings

router = APIRouter(tags=["inspection"], dependencies=[Depends(inspects)])


@router.post(
    "/v1/detect",
    summary="Inspect one image",
    description=DETECT_DESCRIPTION,
    response_model=Answer,
    responses=detect_responses(),
    openapi_extra=detect_openapi(),
)
async def detect(
    request: Request, engine: EngineDep, settings: SettingsDep, record: RecordDep
) -> Response:
    """Read the request, have it inspected, write the answer."""
    with engine.admitted() as inspector:
        received = await receive_request(request, settings)
        parameters = read_parameters(received.pairs)
        image = await run_in_threadpool(_image, received, parameters, settings)
        order = parameters.order(image, record.started_at, settings.default_deadline_ms)
        record.inspection = await unless_gone(request, inspector.inspect(order))
    return _response(request, record, parameters)


async def receive_request(request: Request, settings: Settings) -> Received:
    """Read a request's body and take it apart; from here on errors are answered in the caller's profile."""
    body = await read_body(request, settings.max_body_bytes, settings.body_timeout_s)
    content_type = request.headers.get("content-type", "")
    query = request.query_params.multi_items()
    received = await run_in_threadpool(receive, body, content_type, query)
    request.state.echo = echo = Echo.of(received.pairs)
    request.state.record.part_id = echo.part_id
    return received


def _image(received: Received, parameters: DetectParameters, settings: Settings) -> bytes:
    """Return the image that was sent, or the one whose path was."""
    if parameters.image_path is None:
        return received.image()
    if received.images:
        raise ImageMissingError("send `image` or `image_path`, not both")
    if not settings.image_roots:
        raise ParameterError("image_path: this service reads no files; SSVP_IMAGE_ROOTS is not set")
    return read_image_file(parameters.image_path, settings.image_roots, settings.max_body_bytes)


def _response(request: Request, record: RequestRecord, parameters: DetectParameters) -> Response:
    assert record.inspection is not None  # noqa: S101
    answer = Answer.of(record.inspection, parameters, record.request_id, record.elapsed_s)
    echo: Echo = request.state.echo
    if echo.profile == "full":
        return Response(answer.model_dump_json(), media_type="application/json")
    headers = {"Content-Type": MEDIA_TYPES[echo.profile]}
    return Response(small_answer(answer, echo), headers=headers)
