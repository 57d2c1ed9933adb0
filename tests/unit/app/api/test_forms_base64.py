"""Base64 in JSON, with the blanks and line ends some encoders put in."""

import base64
import tracemalloc

import pytest

from app.api.forms import receive
from app.errors import BodyUnreadableError

PICTURE = bytes(range(256)) * 4


@pytest.mark.parametrize("blank", [" ", "\\n", "\\r\\n", "\\t"])
def test_blanks_are_skipped(blank: str) -> None:
    """MIME breaks lines after 76 characters."""
    letters = base64.b64encode(PICTURE).decode()
    lines = blank.join(letters[start : start + 76] for start in range(0, len(letters), 76))
    assert receive(f'{{"image": "{lines}"}}'.encode(), "", []).image() == PICTURE


@pytest.mark.parametrize("mark", ["\u00e4", "\\u00a0", "-", "_", "\\u0000", "="])
def test_what_is_no_letter_is_refused(mark: str) -> None:
    """Not skipped: a damaged picture must not pass for a whole one."""
    with pytest.raises(BodyUnreadableError, match="base64"):
        receive(f'{{"image": "QUJD{mark}QUJD"}}'.encode(), "", [])


def test_a_body_of_blanks_costs_a_few_copies_of_itself() -> None:
    """As a list of words it would cost twenty."""
    body = b'{"image": "' + b"abc " * 2**18 + b'"}'
    tracemalloc.start()
    try:
        receive(body, "", [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(body)
