"""The query string: nothing in it is left out, nothing guessed at."""

import pytest
from starlette.requests import Request

from app.api.query import query_pairs
from app.errors import ParameterError


def _asked(query: bytes) -> list[tuple[str, str]]:
    return query_pairs(Request({"type": "http", "query_string": query}))


def test_an_empty_value_is_not_left_out() -> None:
    """`threshold=` is refused later; without it the part would be judged by the default."""
    assert _asked(b"threshold=&product=nut") == [("threshold", ""), ("product", "nut")]


def test_bare_latin1_in_the_query_is_refused() -> None:
    """Callers that do not percent-encode are told to, not given another product."""
    with pytest.raises(ParameterError, match="percent-encoded UTF-8"):
        _asked(b"product=h\xfclse")
