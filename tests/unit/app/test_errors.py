"""The tree of errors is the contract: one stable code a leaf, one status a code."""

import pytest

from app import errors
from app.errors import (
    InternalError,
    LateError,
    RateLimitError,
    RequestError,
    ServiceError,
    StartError,
    UnavailableError,
)
from app.products import errors as product_errors

LEAVES = ServiceError.leaves()


def test_a_failed_start_is_no_answer() -> None:
    """So it is none of the errors that callers are told of and that are counted."""
    assert not issubclass(StartError, ServiceError)


def test_every_leaf_has_a_code_of_its_own() -> None:
    """A program can tell every error by its code alone."""
    assert len({leaf.code for leaf in LEAVES}) == len(LEAVES)
    assert len({leaf.title for leaf in LEAVES}) == len(LEAVES)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda e: e.code)
def test_status_fits_the_branch(leaf: type[ServiceError]) -> None:
    """Callers' errors are 4xx, unavailability is 503 with a time to try again, late is 504, bugs are 500."""
    if issubclass(leaf, RequestError):
        assert 400 <= leaf.status < 500
        assert (leaf.retry_after_s is None) == (leaf is not RateLimitError)
    elif issubclass(leaf, LateError):
        assert leaf.status == 504
        assert leaf.retry_after_s is None
    elif issubclass(leaf, UnavailableError):
        assert leaf.status == 503
        assert leaf.retry_after_s is not None
    else:
        assert issubclass(leaf, InternalError)
        assert leaf.status == 500


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda e: e.code)
def test_the_drawn_tree_is_the_real_one(leaf: type[ServiceError]) -> None:
    """The module's drawing lists every leaf with its status and code."""
    lines = [
        line.split()
        for line in ((errors.__doc__ or "") + (product_errors.__doc__ or "")).splitlines()
    ]
    drawn = next(line for line in lines if leaf.__name__ in line)
    assert drawn[-2:] == [str(leaf.status), leaf.code]
