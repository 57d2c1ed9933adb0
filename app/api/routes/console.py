"""`/`: the inspection console, a page of static files.

Knows the folder of the page and its headers; the page speaks to the service as any other caller does. The files
are read once, so that no request can name another one.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, HTTPException, Request, Response

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parents[2] / "console"

MEDIA_TYPES = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".png": "image/png",
    }
)
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",  # chosen pictures, heat maps
    "media-src 'self' blob:",  # the camera
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",  # no text can become markup, not even by mistake
    "trusted-types 'none'",
)
# no-cache means: ask each time. The files are small; yesterday's page with today's answers misleads.
HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": "; ".join(_POLICY),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
)


@dataclass(frozen=True)
class Asset:
    """One file of the page.

    Attributes:
        content: its bytes.
        media_type: what they are.
        etag: changes when they do; times of files do not survive every way of packing them.
    """

    content: bytes
    media_type: str
    etag: str


def read_assets() -> dict[str, Asset]:
    """Return the files of the page by their path below its folder."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            name = path.relative_to(FOLDER).as_posix()
            found[name] = Asset(content, MEDIA_TYPES[path.suffix], etag)
    return found


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """Serve the page, whatever the caller accepts."""
    return _answer(request, "index.html")


@router.api_route("/console/{name:path}", methods=["GET", "HEAD"])
async def asset(request: Request, name: str) -> Response:
    """Serve one of its files."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    assets: dict[str, Asset] = request.app.state.console
    if (found := assets.get(name)) is None:
        raise HTTPException(404)
    headers = {**HEADERS, "ETag": found.etag}
    known = request.headers.get("if-none-match", "").split(",")
    if found.etag in [tag.strip().removeprefix("W/") for tag in known]:
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=found.media_type)
