"""What `/docs` shows of inspections: the body's forms and the errors, with examples that work when pasted.

Knows the OpenAPI document; the contract itself is in `schemas` and `forms`.
"""

from typing import Any

from app.api.problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from app.api.problems import problem_of
from app.api.schemas import DetectParameters
from app.errors import (
    ClientGoneError,
    HeadersTimeoutError,
    HeadersTooLargeError,
    HttpMalformedError,
    ServiceError,
)
from app.products.errors import ProfileError

# A grey square of 32 px with a dark scratch.
EXAMPLE_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAW0lEQVR42u2TuREAIAgE0bFeiyGwXiOV58Dc"
    "kXT3ZiPKoPwqfSEV+CLwMlo474nAG+OE5EhQ3CdEHgp67hOOG8FzlbB5K4C5SmB+hICvBMwLIZrvRA85lSc+"
    "awJXxBIN2I+7LwAAAABJRU5ErkJggg=="
)
# Refused before a profile was read, so never in a small one.
_BELOW_HTTP = {HttpMalformedError, HeadersTimeoutError, HeadersTooLargeError}
_LINE = {"text/plain": {"schema": {"type": "string", "example": "1;0.8731;0.5000;17;A-17\r\n"}}}

DETECT_DESCRIPTION = f"""
Send one image in any of four forms; the bytes decide which it is, the content type is only a hint.
PNG, JPEG, BMP, TIFF and WebP are accepted.

    curl --data-binary @part.png 'localhost:8080/v1/detect?product=metal%20nut'
    curl -F image=@part.png -F product='metal nut' localhost:8080/v1/detect
    curl -d '{{"image": "{EXAMPLE_IMAGE}"}}' localhost:8080/v1/detect

The fourth form is `image_path`: a file that another program wrote below one of the service's SSVP_IMAGE_ROOTS.
That program must write it under another name and then rename it: a half-written file may look like a whole one.

    curl -d '{{"image_path": "line3/cam1/000123.png"}}' localhost:8080/v1/detect

Without a file at hand:

    echo {EXAMPLE_IMAGE} | base64 -d | curl --data-binary @- localhost:8080/v1/detect

Parameters go into the query string, beside the image as form fields, or into the JSON object; one that is
unknown or given twice is refused. Coordinates are pixels of the sent image, after EXIF rotation.
Every error answer carries `result_code` 2: there is no verdict, and that never means OK.
"""


BATCH_DESCRIPTION = """
Send several images as `image` parts of one multipart/form-data body; parameters apply to all of them.

    curl -F image=@a.png -F image=@b.png -F product='metal nut' localhost:8080/v1/detect/batch

Each image has its own entry in `results`, with its own `status`: 200 and a verdict, or a problem. The call
itself is 200 whatever these are; it fails as a whole where the request cannot be read or is not allowed, where
the service takes no request now, and where the deadline passes. Each image takes a place of its own: those for
which none is left are 503. `image_path` and the small answer profiles are for single images.
"""


def batch_openapi() -> dict[str, Any]:
    """Return the batch endpoint's body and query parameters."""
    properties: dict[str, Any] = DetectParameters.model_json_schema()["properties"]
    binary = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    return {
        "parameters": [query_parameter(name, of) for name, of in properties.items()],
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": with_image(properties, binary)}},
        },
    }


def detect_openapi() -> dict[str, Any]:
    """Return what FastAPI cannot derive: the three body forms and the parameters of the query string."""
    schema = DetectParameters.model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    encoded = {
        "type": "string",
        "contentEncoding": "base64",
        "minLength": 1,
        "description": "The image, base64; a data: URL is fine too.",
    }
    binary = {"type": "string", "format": "binary"}
    raw = {"schema": binary}
    return {
        "parameters": [query_parameter(name, of) for name, of in properties.items()],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": with_image(properties, encoded),
                    "example": {"image": EXAMPLE_IMAGE, "product": "metal nut", "part_id": "A-17"},
                },
                "multipart/form-data": {"schema": with_image(properties, binary)},
                **{f"image/{kind}": raw for kind in ("png", "jpeg", "bmp", "tiff", "webp")},
            },
        },
    }


def problem_responses(*, products: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the problem answers of the endpoints: by status, an example of each kind of error.

    Args:
        products: of endpoints that make, show or change product profiles, too.
    """
    by_status: dict[int, list[type[ServiceError]]] = {}
    for kind in ServiceError.leaves():
        ours = products or not issubclass(kind, ProfileError)
        if ours and kind is not ClientGoneError:  # nobody is there to read it
            by_status.setdefault(kind.status, []).append(kind)
    return {status: _problem_response(kinds) for status, kinds in sorted(by_status.items())}


def detect_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers of `POST /v1/detect` that FastAPI does not know of: a line of text, and problems."""
    return {200: {"content": _LINE}, **problem_responses()}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}


def _problem_response(kinds: list[type[ServiceError]]) -> dict[str, Any]:
    examples = {kind.code: {"value": _problem_example(kind)} for kind in kinds}
    small = {"application/json": {"schema": _reference("SmallAnswer")}, **_LINE}
    problem = {PROBLEM_MEDIA_TYPE: {"schema": _reference("Problem"), "examples": examples}}
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "content": problem if _BELOW_HTTP.issuperset(kinds) else {**problem, **small},
    }


def _problem_example(kind: type[ServiceError]) -> dict[str, Any]:
    problem = problem_of(kind, kind.__doc__ or kind.title, "0f9d6a52c1f94b7e8a3b5c7d9e1f2a34")
    return problem.model_dump(exclude_none=True)


def query_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter of the query string."""
    rest = {key: value for key, value in schema.items() if key != "description"}
    return {"name": name, "in": "query", "description": schema["description"], "schema": rest}


def object_schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Return the schema of an object that holds these members and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def with_image(properties: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body that holds an image beside these members."""
    return object_schema({"image": image, **properties}, ["image"])
