"""Bodies at the edge of what is accepted: the last that is taken, the first that is refused."""

import base64

import pytest

from app.api.forms import MAX_JSON_MARKS, MAX_PARTS, BodyLimits, read_as, receive
from app.api.schemas import DetectParameters
from app.errors import BodyUnreadableError, ImageMissingError, ParameterError
from tests.fakes import encode, grey

PNG = encode(grey(10))
BASE64 = base64.b64encode(PNG).decode()


def _form(*parts: tuple[bytes, bytes]) -> bytes:
    """Write a form of parts, each with what follows its name."""
    head = b'--x\r\nContent-Disposition: form-data; name="'
    return b"".join(head + b"%s\r\n\r\n%s\r\n" % part for part in parts) + b"--x--\r\n"


def test_a_form_may_have_as_many_parts_as_documented_and_no_more() -> None:
    """Thirty-two, whatever they are."""
    parts = [(b'image"', PNG)] + [(b'f%d"' % i, b"x") for i in range(MAX_PARTS - 1)]
    assert MAX_PARTS == 32
    assert len(receive(_form(*parts), "", []).pairs) == MAX_PARTS - 1
    with pytest.raises(BodyUnreadableError, match="more than 32 parts"):
        receive(_form(*parts, (b'last"', b"x")), "", [])


@pytest.mark.parametrize("mark", ["{", "[", ","])
def test_json_may_have_so_many_values_and_no_more(mark: str) -> None:
    """Each of the marks counts: by any of them a body could grow without end."""
    text = '{"part_id": "%s"}'
    assert receive((text % (mark * (MAX_JSON_MARKS - 1))).encode(), "", []).pairs
    with pytest.raises(BodyUnreadableError, match="more values than"):
        receive((text % (mark * MAX_JSON_MARKS)).encode(), "", [])


def test_deep_json_is_refused_where_many_values_are_allowed() -> None:
    """A calibration's limit lets it through to the parser, which gives up: still no error of ours."""
    with pytest.raises(BodyUnreadableError, match="not valid JSON"):
        receive(b'{"a":' * 79_000, "", [], BodyLimits(json_marks=80_000))


def test_a_refusal_quotes_little_of_what_was_sent() -> None:
    """Nobody gets megabytes of names back."""
    pairs = [("n" * 5000 + str(i), "x") for i in range(50)]
    with pytest.raises(ParameterError) as raised:
        read_as(DetectParameters, pairs)
    assert len(str(raised.value)) < 1000


def test_a_refusal_says_what_is_known_and_quotes_in_ascii() -> None:
    """The typing error is found by reading the answer, on any terminal."""
    with pytest.raises(ParameterError) as raised:
        read_as(DetectParameters, [("tr\u00e9shold", "0.1")])
    assert str(raised.value).isascii()
    assert "threshold" in str(raised.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """One correction is enough."""
    with pytest.raises(ParameterError, match=r"^heatmap: .*; threshold: "):
        read_as(DetectParameters, [("threshold", "2"), ("heatmap", "fancy")])


@pytest.mark.parametrize(
    ("sent", "name"),
    [(b"caf\xe9.png", "caf\ufffd.png"), (b"n" * 300, "n" * 256)],
    ids=["not UTF-8", "long"],
)
def test_a_files_name_is_kept_as_it_can_be(sent: bytes, name: str) -> None:
    """It is for people only, and no reason to refuse a picture."""
    body = _form((b'image"; filename="%s"' % sent, PNG))
    (image,) = receive(body, "", []).images
    assert (image.name, image.data) == (name, PNG)


@pytest.mark.parametrize("part", [(b'product"', b"h\xfclse"), (b'h\xfclse"', b"x")])
def test_a_field_that_is_not_utf8_is_refused(part: tuple[bytes, bytes]) -> None:
    """A product whose name came out mangled would be judged by another threshold."""
    with pytest.raises(BodyUnreadableError, match="UTF-8"):
        receive(_form((b'image"', PNG), part), "", [])


def test_a_picture_in_a_field_of_another_name_is_told_so() -> None:
    """`-F file=@part.png` is what many write first; that it is not UTF-8 would help nobody."""
    with pytest.raises(ImageMissingError, match=r"sent as 'file'; its field is `image`"):
        receive(_form((b'file"; filename="part.png"', PNG)), "", [])


def test_text_that_begins_like_a_picture_is_text() -> None:
    """A BMP begins with the letters BM."""
    name = "BMW T\u00fcr"
    assert receive(_form((b'product"', name.encode())), "", []).pairs == [("product", name)]


def test_a_line_end_before_a_form_is_skipped() -> None:
    """Some clients begin so, and give no boundary."""
    assert receive(b"\r\n" + _form((b'image"', PNG)), "", []).image() == PNG


def test_blanks_before_json_are_skipped() -> None:
    """As templates leave them."""
    assert receive(b" " * 256 + b'{"image": "%s"}' % BASE64.encode(), "", []).image() == PNG


def test_a_data_url_may_have_parameters() -> None:
    """Browsers keep those of the blob."""
    url = f"data:image/png;name=part-17.png;charset=utf-8;base64,{BASE64}"
    assert receive(f'{{"image": "{url}"}}'.encode(), "", []).image() == PNG
