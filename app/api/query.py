"""The address of a request, read as strictly as a body: text that is not UTF-8 is refused, not guessed at.

A product whose name came out mangled would be judged by another threshold than its own. Knows the query string
and the product in the path; knows no other parameter.
"""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Path, Request

from app.errors import ParameterError
from app.products.profile import check_calibrated_name

_NOT_UTF8 = "is not percent-encoded UTF-8 (ü, for example, is %C3%BC)"
_REPLACED = "\ufffd"  # what the server put where it could not read the path
# Not blanks alone: the name's key would be empty. Python has four blanks more than the pattern's \s.
_NAME = r"[^\s\x1c-\x1f]"


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """Return the query's names and values in their order.

    Raises:
        ParameterError: it is not UTF-8.
    """
    try:
        text = request.scope["query_string"].decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise ParameterError(f"the query {_NOT_UTF8}") from None


async def _product(
    product: Annotated[
        str, Path(min_length=1, max_length=128, pattern=_NAME, description="Product name.")
    ],
) -> str:
    if _REPLACED in product:
        raise ParameterError(f"product: the path {_NOT_UTF8}")
    return product


ProductPath = Annotated[str, Depends(_product)]


async def _calibrated_product(product: ProductPath) -> str:
    try:
        check_calibrated_name(product)
    except ValueError as error:
        raise ParameterError(str(error)) from None
    return product


CalibratedPath = Annotated[str, Depends(_calibrated_product)]
