"""The estimate of batch times: by hand, and never more than what was seen allows."""

import pytest

from app.engine.estimate import BatchClock


def test_nothing_seen_nothing_expected() -> None:
    """The first image is never refused."""
    clock = BatchClock(4)
    assert clock.expected(4) == 0.0
    assert clock.expected_queue(9, 4) == 0.0


def test_sizes_not_seen_are_taken_from_their_neighbours() -> None:
    """The next smaller size; a share of the smallest larger one where there is none."""
    clock = BatchClock(8)
    clock.observe(4, 0.4)
    assert clock.expected(6) == 0.4
    assert clock.expected(2) == pytest.approx(0.2)
    clock.observe(2, 0.3)
    assert clock.expected(3) == 0.3


def test_of_larger_sizes_the_smallest_is_shared_and_the_largest_counts_too() -> None:
    """A full batch may be all that was seen."""
    clock = BatchClock(8)
    clock.observe(8, 0.8)
    assert clock.expected(1) == pytest.approx(0.1)
    clock.observe(6, 1.2)
    assert clock.expected(1) == pytest.approx(0.2)


def test_a_queue_is_full_batches_and_a_rest() -> None:
    """Nine in batches of four: two full ones and one single."""
    clock = BatchClock(4)
    clock.observe(4, 1.0)
    clock.observe(1, 0.5)
    assert clock.expected_queue(9, 4) == 2.5
    assert clock.expected_queue(0, 4) == 0.0


def test_a_single_stall_changes_nothing_and_a_slower_device_soon_does() -> None:
    """The median of the latest five: one of ten seconds is forgotten, three slow ones are believed."""
    clock = BatchClock(1)
    for seconds in (1.0, 1.0, 10.0):
        clock.observe(1, seconds)
    assert clock.expected(1) == 1.0
    for _ in range(3):
        clock.observe(1, 2.0)
    assert clock.expected(1) == 2.0


def test_of_the_latest_five_three_decide() -> None:
    """Two slow ones may be chance; one more, and what was before is forgotten."""
    clock = BatchClock(1)
    for _ in range(5):
        clock.observe(1, 1.0)
    for expected in (1.0, 1.0, 9.0):
        clock.observe(1, 9.0)
        assert clock.expected(1) == expected


def test_large_batches_that_were_slow_once_are_not_held_against_what_is_seen_now() -> None:
    """Refused for their sake, no large batch would ever come to prove the estimate wrong."""
    clock = BatchClock(8)
    for _ in range(5):
        clock.observe(8, 4.0)
    clock.observe(2, 0.1)
    assert clock.expected(8) == pytest.approx(0.4)
    assert clock.expected(2) == 0.1


def test_an_image_too_many_for_small_batches_is_a_batch_of_its_own() -> None:
    """Five images are three batches of two, not two."""
    clock = BatchClock(8)
    clock.observe(5, 4.0)
    clock.observe(2, 0.1)
    assert clock.expected(5) == pytest.approx(0.3)
