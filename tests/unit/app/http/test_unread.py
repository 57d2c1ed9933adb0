"""Which connections end because their answers are not read."""

from asyncio import Transport

import pytest

from app.http import unread
from app.http.unread import LEAST_READ_BYTES, UnreadAnswers
from tests.conftest import until

pytestmark = pytest.mark.anyio

LIMIT_BYTES = 100


class FakeConnection(Transport):
    """A connection of which only the bytes count that its caller has not read.

    Args:
        left: how many there are.
        pace: how many are read between one look and the next.
    """

    def __init__(self, left: int, pace: int = 0) -> None:
        super().__init__()
        self.left, self.pace = left, pace
        self.ended = False

    def get_write_buffer_size(self) -> int:
        """Return what is left."""
        self.left -= self.pace
        return self.left

    def abort(self) -> None:
        """End, and give the memory back."""
        self.left, self.ended = 0, True


def _watched(*left: int) -> list[bool]:
    """Tell which of some connections have ended after the last one's answer."""
    answers = UnreadAnswers(LIMIT_BYTES)
    connections = [FakeConnection(size) for size in left]
    for connection in connections:
        answers.watch(connection)
    return [connection.ended for connection in connections]


async def test_answers_within_the_bound_stay() -> None:
    """It is a bound for all of them together."""
    assert _watched(50, 49, 1) == [False, False, False]


async def test_the_longest_unread_answers_end_first() -> None:
    """As many as are needed, no more."""
    assert _watched(30, 30, 40, 41) == [True, True, False, False]


async def test_one_answer_alone_may_be_larger_than_the_bound() -> None:
    """A caller who reads gets it, whatever others left; they hold it up no more."""
    assert _watched(1000) == [False]
    assert _watched(10, 20, 1000) == [True, True, False]


async def test_an_answer_that_has_been_read_counts_no_more() -> None:
    """Neither its bytes nor its time."""
    answers, read, next_one = UnreadAnswers(LIMIT_BYTES), FakeConnection(90), FakeConnection(90)
    answers.watch(read)
    answers.forget(read)
    answers.watch(next_one)
    assert (read.ended, next_one.ended) == (False, False)


async def test_an_answer_that_has_been_read_is_looked_at_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its connection waits for the next part, in which time nothing is read."""
    monkeypatch.setattr(unread, "UNREAD_FOR_S", 0.001)
    answers, read, next_one = UnreadAnswers(10**12), FakeConnection(90), FakeConnection(90)
    answers.watch(read)
    answers.forget(read)
    answers.watch(next_one)
    await until(lambda: next_one.ended)
    assert not read.ended


async def test_an_answer_ends_when_too_little_of_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever takes enough of it goes on, time and again."""
    monkeypatch.setattr(unread, "UNREAD_FOR_S", 0.001)
    answers, size = UnreadAnswers(10**12), 10**9
    quick, slow = FakeConnection(size, LEAST_READ_BYTES), FakeConnection(size, LEAST_READ_BYTES - 1)
    answers.watch(quick)
    answers.watch(slow)
    await until(lambda: slow.ended and quick.left < size - 20 * LEAST_READ_BYTES)
    assert not quick.ended
    answers.forget(quick)
