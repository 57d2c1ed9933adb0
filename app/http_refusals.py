"""Answers to what never became a request: written, logged and counted like all others.

Knows the problem document and a request's record; knows neither connections nor when to refuse.
"""

from dataclasses import dataclass

from app.api.middleware import answer_headers
from app.api.problems import MEDIA_TYPE, problem_type
from app.api.schemas import Problem
from app.observability import Metrics, RequestRecord, log_request


@dataclass(frozen=True)
class Refusal:
    """One reason to answer before the application is asked."""

    status: int
    code: str
    title: str


MALFORMED = Refusal(400, "http_malformed", "Request is not HTTP")
TOO_SLOW = Refusal(408, "headers_timeout", "Headers did not arrive in time")
TOO_LARGE = Refusal(431, "headers_too_large", "Headers are too large")


def refusal_answer(refusal: Refusal, record: RequestRecord) -> bytes:
    """Write the whole answer, its status line included, and note it in the record."""
    record.status, record.code = refusal.status, refusal.code
    problem = Problem(
        type=problem_type(refusal.code),
        title=refusal.title,
        status=refusal.status,
        detail=refusal.title,
        error_type="request",
        code=refusal.code,
        request_id=record.request_id,
    )
    body = problem.model_dump_json().encode()
    headers = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        **answer_headers(record),
    }
    lines = [f"HTTP/1.1 {refusal.status} {refusal.title}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def record_refusal(record: RequestRecord, metrics: Metrics) -> None:
    """Count and log a refusal that has been answered."""
    metrics.observe_request(record)
    log_request(record)
