"""Why a call brought no answer, as one tree; all carry the same attributes.

```
SSVPError
├── RequestRefusedError     4xx: the request must change; code says how
├── UnavailableError        429, 502, 503: the service may be asked again, after retry_after_s
├── LateError               504, or the call's own time was over
├── ServiceFailedError      any other 5xx: a bug, or a model that computes wrongly
├── UnreachableError        no connection, or it ended before there was an answer
└── UnreadableAnswerError   what came back is no answer of this service; never take it for OK
```
Knows statuses and codes; knows no HTTP library.
"""

from collections.abc import Mapping
from typing import Any


class SSVPError(Exception):
    """Root; there is no verdict.

    Attributes:
        code: stable name, as docs/api.md lists them; the client's own are `unreachable`, `unreadable` and
            `call_deadline_passed`.
        status: HTTP status, None where there was no answer.
        retry_after_s: seconds after which asking again makes sense, as the service said.
        request_id: stands in the service's log.
        problem: the whole problem document, empty where there was none.
    """

    def __init__(
        self,
        message: str,
        code: str,
        status: int | None = None,
        retry_after_s: float | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.status, self.retry_after_s = code, status, retry_after_s
        self.problem: Mapping[str, Any] = problem or {}
        self.request_id = str(self.problem.get("request_id", ""))


class RequestRefusedError(SSVPError):
    """The request must change."""


class UnavailableError(SSVPError):
    """The service may be asked again."""


class LateError(SSVPError):
    """There was no answer in time."""


class ServiceFailedError(SSVPError):
    """The service failed on this request; its log says why."""


class UnreachableError(SSVPError):
    """There is no connection, or it ended before there was an answer."""

    def __init__(self, message: str, *, received: bool) -> None:
        """Tell whether the service may have received the request."""
        super().__init__(message, "unreachable")
        self.received = received


class UnreadableAnswerError(SSVPError):
    """What came back is no answer of this service."""


def error_of(
    status: int, problem: Mapping[str, Any], retry_after_s: float | None = None
) -> SSVPError:
    """Return the error of an answer that is none of the wanted ones.

    Args:
        status: of the answer.
        problem: its problem document; empty where it was none, as a proxy's.
        retry_after_s: from its `Retry-After`.
    """
    code = str(problem.get("code") or f"http_{status}")
    message = str(problem.get("detail") or f"the answer has status {status}")
    return _kind(status)(message, code, status, retry_after_s, problem)


def _kind(status: int) -> type[SSVPError]:
    if status in (429, 502, 503):
        return UnavailableError
    if status == 504:
        return LateError
    if 400 <= status < 500:
        return RequestRefusedError
    return ServiceFailedError if status >= 500 else UnreadableAnswerError
