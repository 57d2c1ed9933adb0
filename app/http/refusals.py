"""Answers to what never became a request: written, logged and counted like all others.

Knows the problem document and a request's record; knows neither connections nor when to refuse.
"""

from app.api.middleware import answer_headers
from app.api.problems import MEDIA_TYPE, problem_of
from app.errors import RequestError
from app.metrics import Metrics
from app.records import RequestRecord, log_request


def refusal_answer(refusal: type[RequestError], record: RequestRecord) -> bytes:
    """Write the whole answer, its status line included, and note it in the record."""
    record.status, record.code = refusal.status, refusal.code
    problem = problem_of(refusal, refusal.title, record.request_id)
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
