"""What docs/security.md promises about time and size is what is kept."""

from pathlib import Path

import pytest

from app.http import limits, unread


@pytest.mark.parametrize(
    "promise",
    [
        f"Headers must arrive within {limits.HEADERS_WITHIN_S:g} s",
        f"and have {limits.MAX_HEADER_BYTES / 1024:g} KiB at most, trailers included",
        f"what is left of a refused request within {limits.REST_WITHIN_S:g} s",
        f"on one connection {limits.MOST_WAITING} may wait behind the one that is being answered",
        f"At least {unread.LEAST_READ_BYTES / 1024:g} KiB of an answer, or what is left of it,",
        f"must be read within each {unread.UNREAD_FOR_S:g} s",
    ],
)
def test_limits_are_those_that_are_promised(promise: str) -> None:
    """Other tests shorten them, or ask for whatever they are."""
    assert promise in " ".join(Path("docs/security.md").read_text().split())
