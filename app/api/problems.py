"""The one place where errors become answers: RFC 9457 problem documents.

Knows the exception tree and the web framework's own errors; decides nothing about images.
"""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.api.middleware import answer_headers
from app.api.receive import note_echo
from app.api.schemas import Problem
from app.api.small_answers import MEDIA_TYPES, Echo, small_problem
from app.errors import (
    ClientGoneError,
    InternalError,
    KeyMissingError,
    ParameterError,
    ServiceError,
)
from app.products.errors import CalibrationTooFewError
from app.records import RequestRecord

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_INTERNAL_DETAIL = "the service failed on this request; its log has the details"


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    for kind in (
        ServiceError,
        HTTPException,
        RequestValidationError,
        ClientDisconnect,
        Exception,
    ):
        app.add_exception_handler(kind, answer_problem)


async def answer_problem(request: Request, error: Exception) -> Response:
    """Write the answer to a request that failed."""
    record: RequestRecord = request.state.record
    if isinstance(error, ServiceError):  # others than these the server logs
        log_internal(error, record.request_id)
    problem = describe(error, record.request_id)
    note_problem(record, problem)
    headers = answer_headers(record)
    if isinstance(error, ServiceError) and error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, KeyMissingError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, HTTPException):
        headers.update(error.headers or {})
    echo: Echo | None = getattr(request.state, "echo", None)
    if echo is None:  # the body was not taken apart
        echo = note_echo(request, request.query_params.multi_items())
    if echo.profile == "full":
        return Response(
            problem.model_dump_json(exclude_none=True), problem.status, headers, MEDIA_TYPE
        )
    headers["Content-Type"] = MEDIA_TYPES[echo.profile]
    return Response(small_problem(problem, echo, record.elapsed_s), problem.status, headers)


def note_problem(record: RequestRecord, problem: Problem) -> None:
    """Note for the log how a request ended, and why: a small answer has no room for it."""
    record.status, record.code = problem.status, problem.code
    record.detail = "" if problem.error_type == "internal" else problem.detail


def log_internal(error: Exception, request_id: str) -> None:
    """Log what callers are not told: a bug, foreseen or not."""
    if isinstance(error, InternalError) or not isinstance(error, ServiceError):
        logger.error("request id=%a: %s", request_id, error, exc_info=error)


def describe(error: Exception, request_id: str) -> Problem:
    """Return the problem document of any exception; what is not ours to tell stays out of it."""
    match error:
        case HTTPException():
            return _http_problem(error, request_id)
        case RequestValidationError():
            complaints = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())
            return problem_of(ParameterError, complaints, request_id)
        case ClientDisconnect():
            return problem_of(ClientGoneError, "the connection was closed", request_id)
        case ServiceError() if not isinstance(error, InternalError):
            problem = problem_of(type(error), str(error), request_id)
            needed = error.needed if isinstance(error, CalibrationTooFewError) else None
            return problem.model_copy(update={"needed": needed})
        case InternalError():
            return problem_of(type(error), _INTERNAL_DETAIL, request_id)
        case _:
            return problem_of(ServiceError, _INTERNAL_DETAIL, request_id)


def problem_of(kind: type[ServiceError], detail: str, request_id: str) -> Problem:
    """Return the problem document of a kind of error."""
    return Problem(
        type=problem_type(kind.code),
        title=kind.title,
        status=kind.status,
        detail=detail,
        error_type=kind.error_type,
        code=kind.code,
        request_id=request_id,
    )


def _http_problem(error: HTTPException, request_id: str) -> Problem:
    status = HTTPStatus(error.status_code)
    code = status.name.lower()
    return Problem(
        type=problem_type(code),
        title=status.phrase,
        status=status.value,
        detail=status.description or status.phrase,
        error_type="request" if status < 500 else "internal",
        code=code,
        request_id=request_id,
    )


def problem_type(code: str) -> str:
    """Return the URI that names a kind of problem."""
    return f"urn:ssvp-inspect:problem:{code}"
