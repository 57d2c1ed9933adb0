"""A request's body in whichever form it came: raw image, multipart or JSON.

Knows the forms and their traps; the image itself stays undecoded bytes. The body decides which form it is; the
content type only helps to say what is wrong with a body that is no form at all.
"""

import binascii
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pybase64
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from app.engine.formats import ACCEPTED, is_image
from app.errors import (
    BodyUnreadableError,
    ImageMissingError,
    ImageUnrecognisedError,
    ParameterError,
)

IMAGE = "image"
NO_IMAGE = f"there is no `{IMAGE}`: the body is empty, or has only other fields"
MAX_PARTS = 32
MAX_NAME = 256
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,")
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,256}\{")
# Base64 holds none of these; parsing millions of them would hold up everybody else.
_JSON_MARKS, MAX_JSON_MARKS = (b"{", b"[", b","), 256
_MULTIPART_START = re.compile(rb"(?:\r\n)?--([^\r\n]{1,70})\r\n[!-9;-~]+:")

Pairs = list[tuple[str, Any]]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class SentImage:
    """One image of a body.

    Attributes:
        data: encoded.
        name: of its file, empty where none was sent.
    """

    data: bytes
    name: str = ""


@dataclass(frozen=True)
class Received:
    """What a request holds, before anything is checked.

    Attributes:
        images: in order.
        pairs: names and values of all parameters, those of the query string first.
    """

    images: list[SentImage]
    pairs: Pairs

    def image(self) -> bytes:
        """Return the one image.

        Raises:
            ImageMissingError: there is none, or more than one.
        """
        if not self.images:
            raise ImageMissingError(NO_IMAGE)
        if len(self.images) > 1:
            raise ImageMissingError(f"one `image` is expected, {len(self.images)} were sent")
        return self.images[0].data


@dataclass(frozen=True)
class BodyLimits:
    """How much a body may hold; what parses it holds up everybody else.

    Attributes:
        parts: of a multipart form.
        json_marks: braces, brackets and commas of a JSON text.
    """

    parts: int = MAX_PARTS
    json_marks: int = MAX_JSON_MARKS


ONE_INSPECTION = BodyLimits()


def receive(
    body: bytes,
    content_type: str,
    query: Iterable[tuple[str, str]],
    limits: BodyLimits = ONE_INSPECTION,
) -> Received:
    """Take a body apart, whichever form it has.

    Args:
        body: the whole body.
        content_type: header as sent; may be wrong or empty.
        query: parameters of the query string, in order.
        limits: how much it may hold.

    Raises:
        RequestError: one of its leaves.
    """
    found = _split(body, content_type, limits)
    return Received(found.images, [*query, *found.pairs])


def read_as(kind: type[M], pairs: Pairs) -> M:
    """Check parameters from all places together.

    Raises:
        ParameterError: naming each parameter that is unknown, repeated or out of range.
    """
    counts = Counter(name for name, _ in pairs)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise ParameterError(f"given more than once: {_names(repeated)}")
    if unknown := [name for name in counts if name not in kind.model_fields]:
        known = ", ".join(kind.model_fields)
        raise ParameterError(f"unknown: {_names(unknown)}; known: {known}")
    try:
        return kind.model_validate(dict(pairs))
    except ValidationError as error:
        complaints = {
            f"{e['loc'][0]}: {e['msg'].removeprefix('Value error, ')}"  # what pydantic puts before ours
            for e in error.errors(include_url=False)
        }
        raise ParameterError("; ".join(sorted(complaints))) from None


def _names(names: list[str]) -> str:
    return ", ".join(ascii(name[:64]) for name in names[:8])


def _split(body: bytes, content_type: str, limits: BodyLimits) -> Received:
    """Return images and parameters of a body in any form."""
    if not body:
        return Received([], [])
    if is_image(body):
        return Received([SentImage(body)], [])
    if _JSON_START.match(body):
        return _split_json(body, limits.json_marks)
    if (boundary := _boundary(body, content_type)) is not None:
        return _split_multipart(body, boundary, limits.parts)
    raise ImageUnrecognisedError(
        f"the body is neither an image ({ACCEPTED}), nor a JSON object, nor multipart/form-data"
    )


def _boundary(body: bytes, content_type: str) -> bytes | None:
    """Return what separates the parts of a multipart body; None for any other body."""
    if start := _MULTIPART_START.match(body):
        return start[1]
    media_type, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if media_type == b"multipart/form-data" else None


def _split_json(body: bytes, max_marks: int) -> Received:
    if sum(body.count(mark) for mark in _JSON_MARKS) > max_marks:
        raise BodyUnreadableError("the JSON has more values than this endpoint accepts")
    try:
        pairs: Pairs = json.loads(body, object_pairs_hook=list)  # a dict would hide repeated names
    except (ValueError, RecursionError) as error:
        raise BodyUnreadableError("the body begins like JSON but is not valid JSON") from error
    images = [SentImage(_from_base64(value)) for name, value in pairs if name == IMAGE]
    return Received(images, [pair for pair in pairs if pair[0] != IMAGE])


def _from_base64(encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise ImageMissingError("`image` must be a base64 string")
    if prefix := _DATA_URL.match(encoded):
        encoded = encoded[prefix.end() :]
    try:
        # Not str.split: a body of blanks would become millions of strings, and everybody would wait.
        letters = encoded.encode("ascii").translate(None, b" \t\r\n")
        return pybase64.b64decode(letters, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BodyUnreadableError("`image` is not base64") from error


def _split_multipart(body: bytes, boundary: bytes, max_parts: int) -> Received:
    images: list[SentImage] = []
    pairs: Pairs = []

    def keep(part: Field | File) -> None:
        if len(images) + len(pairs) >= max_parts:
            raise BodyUnreadableError(f"the form has more than {max_parts} parts")
        name = _text(part.field_name or b"")
        if name == IMAGE:
            images.append(SentImage(_content(part), _file_name(part)))
        else:
            pairs.append((name, _parameter(name, _content(part))))

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
    return Received(images, pairs)


def _file_name(part: Field | File) -> str:
    """Return a name for people to find their picture by; it is never used as a path."""
    given = b"" if isinstance(part, Field) else part.file_name or b""
    return given.decode(errors="replace")[:MAX_NAME]


def _content(part: Field | File) -> bytes:
    if isinstance(part, Field):
        return part.value or b""
    part.file_object.seek(0)
    return part.file_object.read()


def _parameter(name: str, value: bytes) -> str:
    try:
        return _text(value)
    except BodyUnreadableError as error:
        if not is_image(value):
            raise
        told = f"a picture was sent as {_names([name])}; its field is `{IMAGE}`"
        raise ImageMissingError(told) from error


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BodyUnreadableError("a form field is not UTF-8") from error
