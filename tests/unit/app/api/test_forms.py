"""Bodies in every form, with their traps."""

import base64
import json
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.forms import read_as, receive
from app.api.schemas import DetectParameters
from app.engine.geometry import Box
from app.errors import (
    BodyUnreadableError,
    ImageMissingError,
    ImageUnrecognisedError,
    ParameterError,
    RequestError,
)
from tests.fakes import encode, grey

PNG = encode(grey(10))
BASE64 = base64.b64encode(PNG).decode()


def _json(**members: Any) -> bytes:
    return json.dumps(members).encode()


def _multipart(fields: dict[str, Any], files: Any) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://x", data=fields, files=files)
    return request.read(), request.headers["content-type"]


class _Form(NamedTuple):
    image: bytes
    parameters: DetectParameters


def _parse(
    body: bytes, content_type: str = "", query: list[tuple[str, str]] | None = None
) -> _Form:
    received = receive(body, content_type, query or [])
    return _Form(received.image(), read_as(DetectParameters, received.pairs))


@pytest.mark.parametrize(
    "content_type", ["", "image/jpeg", "application/json", "multipart/form-data", "x"]
)
def test_raw_bytes_are_an_image_whatever_they_are_called(content_type: str) -> None:
    """The content type is never trusted."""
    found = _parse(PNG, content_type, [("product", "metal nut"), ("threshold", "0.25")])
    assert found.image == PNG
    assert (found.parameters.product, found.parameters.threshold) == ("metal nut", 0.25)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:;base64,"])
def test_json_with_base64(content_type: str, prefix: str) -> None:
    """`curl -d` says x-www-form-urlencoded."""
    body = _json(image=prefix + BASE64, product="nut", sequence=7, threshold=0.5)
    found = _parse(body, content_type)
    assert found.image == PNG
    assert (found.parameters.sequence, found.parameters.threshold) == (7, 0.5)


def test_json_with_line_breaks_in_base64_and_blanks_before() -> None:
    """As `base64` wraps it; with a byte order mark as some editors write it."""
    wrapped = base64.encodebytes(PNG).decode()
    assert _parse(b"\xef\xbb\xbf \n" + _json(image=wrapped)).image == PNG


def test_multipart() -> None:
    """Fields and file in any order; part_id and sequence stay text and number."""
    body, content_type = _multipart(
        {"product": "Mutter, verzinkt \N{LATIN SMALL LETTER U WITH DIAERESIS}", "sequence": "12"},
        {"image": ("a.png", PNG, "application/octet-stream")},
    )
    found = _parse(body, content_type)
    assert found.image == PNG
    assert found.parameters.product.endswith("\N{LATIN SMALL LETTER U WITH DIAERESIS}")
    assert found.parameters.sequence == 12


def test_multipart_is_found_by_its_bytes() -> None:
    """Clients that forget the content type are understood."""
    body, _ = _multipart({"product": "nut"}, {"image": ("a.png", PNG)})
    assert _parse(body, "application/octet-stream").parameters.product == "nut"


def test_what_claims_to_be_multipart_but_is_not_is_told_so() -> None:
    """The content type makes the message better, never the outcome."""
    with pytest.raises(BodyUnreadableError, match="multipart"):
        _parse(b"hello", "multipart/form-data; boundary=x")


@pytest.mark.parametrize("body", [b"hello", b"[]", b"\x00" * 20, b'"x"'])
def test_what_is_no_known_form_is_refused(body: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(ImageUnrecognisedError):
        _parse(body)


@pytest.mark.parametrize(
    "body", [b"", b"{}", _json(product="x"), _json(image=None), _json(image=7), _json(image=["a"])]
)
def test_json_without_an_image(body: bytes) -> None:
    """Well formed, but nothing to inspect."""
    with pytest.raises(ImageMissingError):
        _parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"image": ',
        b"{'image': 1}",
        b'{"image": "\xff"}',
        b'{"a":' * 100_000,
        _json(image="%%%%"),
        _json(image="abc"),
        _json(image="QUJD="),
        _json(image="data:image/png,abc"),
    ],
    ids=[
        "open",
        "half",
        "quotes",
        "latin1",
        "deep",
        "no base64",
        "no padding",
        "too much padding",
        "no base64 url",
    ],
)
def test_malformed_json_or_base64(body: bytes) -> None:
    """A clear 400, never a crash."""
    with pytest.raises(BodyUnreadableError):
        _parse(body)


def test_two_images_are_one_too_many() -> None:
    """Which of them would the verdict be about?"""
    twice = [("image", ("a.png", PNG)), ("image", ("b.png", PNG))]
    with pytest.raises(ImageMissingError, match="2 were sent"):
        _parse(*_multipart({}, twice))
    body = b'{"image": "%s", "image": "%s"}' % (BASE64.encode(), BASE64.encode())
    with pytest.raises(ImageMissingError, match="2 were sent"):
        _parse(body)


def test_multipart_cut_off_or_without_boundary() -> None:
    """An upload that was interrupted is no shorter upload."""
    body, content_type = _multipart({}, {"image": ("a.png", PNG)})
    with pytest.raises(RequestError):
        _parse(body[:-40], content_type)
    with pytest.raises(BodyUnreadableError):
        _parse(b"preamble" + body, "multipart/form-data")


def test_too_many_parts() -> None:
    """A form of thousands of fields costs nothing."""
    body, content_type = _multipart({f"f{i}": "x" for i in range(40)}, {"image": PNG})
    with pytest.raises(BodyUnreadableError, match="parts"):
        _parse(body, content_type)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "nan"),
        ("threshold", "1.5"),
        ("threshold", "-0.1"),
        ("threshold", "x"),
        ("threshold", ""),
        ("threshold", "+0.5"),
        ("sequence", "1.5"),
        ("sequence", str(2**63)),
        ("heatmap", "fancy"),
        ("heatmap_format", "gif"),
        ("heatmap_size", "0"),
        ("heatmap_size", "99999"),
        ("product", ""),
        ("product", "x" * 129),
        ("part_id", "x" * 129),
    ],
)
def test_parameters_out_of_range(name: str, value: str) -> None:
    """The message names the parameter."""
    with pytest.raises(ParameterError, match=name):
        _parse(PNG, query=[(name, value)])


@pytest.mark.parametrize(
    ("name", "value"), [("threshold", True), ("sequence", True), ("product", 5)]
)
def test_json_values_of_the_wrong_type(name: str, value: object) -> None:
    """`true` is no threshold of 1; the message names the parameter."""
    with pytest.raises(ParameterError, match=name):
        _parse(_json(image=BASE64, **{name: value}))


@pytest.mark.parametrize("sequence", [-(2**63), -5, 2**63 - 1])
def test_a_sequence_may_be_any_signed_number_of_64_bits(sequence: int) -> None:
    """As a PLC counts, which may begin below zero."""
    assert _parse(PNG, query=[("sequence", str(sequence))]).parameters.sequence == sequence


def test_json_null_is_as_good_as_nothing() -> None:
    """Where a parameter may be left out."""
    found = _parse(_json(image=BASE64, threshold=None, roi=None)).parameters
    assert (found.threshold, found.roi) == (None, None)


def test_a_roi_is_read_with_or_without_blanks() -> None:
    """It is a box from here on."""
    found = _parse(PNG, query=[("roi", " 40, 30 ,200,100 ")])
    assert found.parameters.roi == Box(40, 30, 200, 100)


@pytest.mark.parametrize("roi", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,5,5", "1.5,0,5,5", "", 7])
def test_a_roi_that_is_none_is_explained_in_words(roi: object) -> None:
    """No pattern for the caller to read."""
    with pytest.raises(ParameterError, match=r"^roi: four whole numbers .* x,y,width,height$"):
        _parse(_json(image=BASE64, roi=roi))


def test_unknown_and_repeated_parameters_are_refused() -> None:
    """`treshold=0.1` silently ignored would pass bad parts."""
    with pytest.raises(ParameterError, match="treshold"):
        _parse(PNG, query=[("treshold", "0.1")])
    with pytest.raises(ParameterError, match="more than once: 'threshold'"):
        _parse(PNG, query=[("threshold", "0.1"), ("threshold", "0.9")])
    body, content_type = _multipart({"threshold": "0.1"}, {"image": PNG})
    with pytest.raises(ParameterError, match="more than once"):
        _parse(body, content_type, [("threshold", "0.1")])


@given(st.binary(max_size=400), st.sampled_from(["", "multipart/form-data; boundary=x"]))
def test_any_bytes_are_read_or_refused(noise: bytes, content_type: str) -> None:
    """No other exception, whatever arrives."""
    for body in (noise, b"{" + noise, b"--x\r\nContent-Disposition: form-data" + noise):
        try:
            _parse(body, content_type)
        except RequestError:
            continue


def test_a_form_that_breaks_off_in_a_later_field_is_refused() -> None:
    """The image is whole, the threshold after it is lost: judging it by the default could be a wrong OK."""
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part
        for part in ((b"image", PNG), (b"threshold", b"0.0123"))
    )
    assert _parse(body + b"--x--\r\n").parameters.threshold == 0.0123
    for cut in range(1, 80, 3):
        with pytest.raises(RequestError):
            _parse((body + b"--x--")[:-cut])


def test_json_of_millions_of_members_is_refused_unread() -> None:
    """Parsing it would hold up every other caller for seconds."""
    with pytest.raises(BodyUnreadableError, match="more values than"):
        _parse(b'{"image": "", "a": [' + b"{}," * 1000 + b"{}]}")
