"""`POST /v1/detect`: one image in, one verdict out. The reading order of a request starts here."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.body import read_body, unless_gone
from app.api.deps import EngineDep, RecordDep, SettingsDep
from app.api.examples import DETECT_DESCRIPTION, detect_openapi, detect_responses
from app.api.forms import parse_detect
from app.api.schemas import Answer

router = APIRouter(tags=["inspection"])


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
    record.inspects = True
    with engine.admitted() as inspector:
        body = await read_body(request, settings.max_body_bytes, settings.body_timeout_s)
        content_type = request.headers.get("content-type", "")
        query = request.query_params.multi_items()
        form = await run_in_threadpool(parse_detect, body, content_type, query)
        order = form.parameters.order(form.image, record.started_at, settings.default_deadline_ms)
        record.inspection = await unless_gone(request, inspector.inspect(order))
    answer = Answer.of(record.inspection, form.parameters, record.request_id, record.elapsed_s)
    return Response(answer.model_dump_json(), media_type="application/json")
