"""A detect request's body in whichever form it came: raw image, multipart or JSON.

Knows the forms and their traps; the image itself stays undecoded bytes. The body decides which form it is; the
content type only helps to say what is wrong with a body that is no form at all.
"""

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from app.api.schemas import DetectParameters
from app.engine.formats import ACCEPTED, is_image
from app.errors import (
    BodyUnreadableError,
    ImageMissingError,
    ImageUnrecognisedError,
    ParameterError,
)

IMAGE = "image"
MAX_PARTS = 32
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,")
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,256}\{")
# Base64 holds none of these; parsing millions of them would hold up everybody else.
_JSON_MARKS, MAX_JSON_MARKS = (b"{", b"[", b","), 256
_MULTIPART_START = re.compile(rb"(?:\r\n)?--([^\r\n]{1,70})\r\n[!-9;-~]+:")

Pairs = list[tuple[str, Any]]


@dataclass(frozen=True)
class Received:
    """What a request holds, before anything is checked.

    Attributes:
        images: encoded, in order.
        pairs: names and values of all parameters, those of the query string first.
    """

    images: list[bytes]
    pairs: Pairs

    def image(self) -> bytes:
        """Return the one image.

        Raises:
            ImageMissingError: there is none, or more than one.
        """
        if not self.images:
            raise ImageMissingError("there is no `image` in the body")
        if len(self.images) > 1:
            raise ImageMissingError(f"one `image` is expected, {len(self.images)} were sent")
        return self.images[0]


def receive(body: bytes, content_type: str, query: Iterable[tuple[str, str]]) -> Received:
    """Take a body apart, whichever form it has.

    Args:
        body: the whole body.
        content_type: header as sent; may be wrong or empty.
        query: parameters of the query string, in order.

    Raises:
        RequestError: one of its leaves.
    """
    images, pairs = _split(body, content_type)
    return Received(images, [*query, *pairs])


def read_parameters(pairs: Pairs) -> DetectParameters:
    """Check parameters from all places together.

    Raises:
        ParameterError: naming each parameter that is unknown, repeated or out of range.
    """
    counts = Counter(name for name, _ in pairs)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise ParameterError(f"given more than once: {_names(repeated)}")
    if unknown := [name for name in counts if name not in DetectParameters.model_fields]:
        known = ", ".join(DetectParameters.model_fields)
        raise ParameterError(f"unknown: {_names(unknown)}; known: {known}")
    try:
        return DetectParameters.model_validate(dict(pairs))
    except ValidationError as error:
        complaints = {f"{e['loc'][0]}: {e['msg']}" for e in error.errors(include_url=False)}
        raise ParameterError("; ".join(sorted(complaints))) from None


def _names(names: list[str]) -> str:
    return ", ".join(ascii(name[:64]) for name in names[:8])


def _split(body: bytes, content_type: str) -> tuple[list[bytes], Pairs]:
    """Return images and parameters of a body in any form."""
    if not body:
        return [], []
    if is_image(body):
        return [body], []
    if _JSON_START.match(body):
        return _split_json(body)
    if (boundary := _boundary(body, content_type)) is not None:
        return _split_multipart(body, boundary)
    raise ImageUnrecognisedError(
        f"the body is neither an image ({ACCEPTED}), nor JSON, nor multipart/form-data"
    )


def _boundary(body: bytes, content_type: str) -> bytes | None:
    """Return what separates the parts of a multipart body; None for any other body."""
    if start := _MULTIPART_START.match(body):
        return start[1]
    media_type, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if media_type == b"multipart/form-data" else None


def _split_json(body: bytes) -> tuple[list[bytes], Pairs]:
    if sum(body.count(mark) for mark in _JSON_MARKS) > MAX_JSON_MARKS:
        raise BodyUnreadableError("the JSON holds more than an image and its parameters")
    try:
        pairs: Pairs = json.loads(body, object_pairs_hook=list)  # a dict would hide repeated names
    except (ValueError, RecursionError) as error:
        raise BodyUnreadableError("the body begins like JSON but is not") from error
    images = [_from_base64(value) for name, value in pairs if name == IMAGE]
    return images, [pair for pair in pairs if pair[0] != IMAGE]


def _from_base64(encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise ImageMissingError("`image` must be a base64 string")
    if prefix := _DATA_URL.match(encoded):
        encoded = encoded[prefix.end() :]
    try:
        # Not str.split: a body of blanks would become millions of strings, and everybody would wait.
        letters = encoded.encode("ascii").translate(None, b" \t\r\n")
        return base64.b64decode(letters, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BodyUnreadableError("`image` is not base64") from error


def _split_multipart(body: bytes, boundary: bytes) -> tuple[list[bytes], Pairs]:
    parts: list[tuple[str, bytes]] = []

    def keep(part: Field | File) -> None:
        if len(parts) >= MAX_PARTS:
            raise BodyUnreadableError(f"more than {MAX_PARTS} parts")
        parts.append((_text(part.field_name or b""), _content(part)))

    ended: list[bool] = []
    try:
        parser = FormParser(
            "multipart/form-data",
            keep,
            keep,
            lambda: ended.append(True),
            boundary=boundary,
            config={"MAX_MEMORY_FILE_SIZE": len(body)},  # never a temporary file
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise BodyUnreadableError("the body is not the multipart form it claims to be") from error
    if not ended:  # what is missing may be the threshold
        raise BodyUnreadableError("the form breaks off before its closing boundary")
    images = [content for name, content in parts if name == IMAGE]
    return images, [(name, _text(content)) for name, content in parts if name != IMAGE]


def _content(part: Field | File) -> bytes:
    if isinstance(part, Field):
        return part.value or b""
    part.file_object.seek(0)
    return part.file_object.read()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BodyUnreadableError("a form field is not UTF-8") from error
