"""Who may ask: the API key of a request, and whose page sent it.

Knows headers and keys; knows nothing of what is asked.
"""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from app.api.keys import ApiKeys
from app.errors import OtherSiteError
from app.records import RequestRecord

_KEY = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    description="Where the service asks for keys; `Authorization: Bearer <key>` does as well.",
)


async def for_inspection(
    request: Request,
    key: Annotated[str | None, Security(_KEY)],
) -> None:
    """Mark a request as one for an inspection, and require its key where keys are asked for."""
    request.state.record.inspects = True
    await require_key(request, key)


async def require_key(
    request: Request,
    key: Annotated[str | None, Security(_KEY)],
) -> None:
    """Require the request's key where keys are asked for."""
    record: RequestRecord = request.state.record
    keys: ApiKeys = request.app.state.keys
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = {key or "", bearer.strip() if scheme.lower() == "bearer" else ""} - {""}
    record.key = keys.identify(given)  # a refusal's log line names it too
    keys.admit(record.key)


async def refuse_cross_site(request: Request) -> None:
    """Refuse a change that another site's page had a browser ask for: its user knows nothing of it.

    A browser names the page's origin with every such request, and its relation to this host where the
    connection is a safe one; other callers send neither.

    Raises:
        OtherSiteError: it did.
    """
    if request.method == "GET":
        return
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    relation = request.headers.get("sec-fetch-site")
    if relation is None and origin is not None:
        relation = "same-origin" if _host_of(origin) == host.lower() else "other"
    if relation not in (None, "same-origin", "none"):
        raise OtherSiteError(f"a page from {origin} is not allowed to change anything at {host}")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # `http://[`: no browser's
        return None
