"""What a start makes is not looked at again; what is made afterwards is."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from app.garbage import lasting


class _Cycle:
    """Garbage that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Give the tests' own objects back to the collector."""
    yield
    gc.unfreeze()
    gc.enable()


def test_objects_made_inside_and_before_are_not_collected() -> None:
    """torch and the towers cost no collection a thing."""
    before = weakref.ref(_Cycle())
    with lasting():
        assert not gc.isenabled()
        inside = weakref.ref(_Cycle())
    gc.collect()
    assert before() is not None
    assert inside() is not None
    assert gc.isenabled()


def test_objects_made_afterwards_are_collected() -> None:
    """Requests leave no garbage behind."""
    with lasting():
        pass
    after = weakref.ref(_Cycle())
    gc.collect()
    assert after() is None


def test_a_collector_that_was_off_stays_off_and_an_error_passes() -> None:
    """One start may be part of another, and may fail."""
    gc.disable()
    with pytest.raises(ValueError, match="broken"), lasting():
        raise ValueError("broken")
    assert not gc.isenabled()
