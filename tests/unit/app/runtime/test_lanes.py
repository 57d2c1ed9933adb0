"""Batches side by side: everything computed once, in order, and nothing left running."""

import threading
import time
from collections.abc import Sequence

import pytest
import torch

from app.runtime.lanes import Lanes


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_the_items_order(threads: int, count: int) -> None:
    """Every item is computed once, whatever the number of lanes, and every lane has about as many."""
    sizes = []

    def work(part: Sequence[int]) -> list[int]:
        sizes.append(len(part))
        return [10 * item for item in part]

    assert Lanes(threads).run(work, range(count)) == [10 * item for item in range(count)]
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1


def test_cores_are_shared_not_multiplied() -> None:
    """A single image has all threads, side by side each has its share."""
    before = torch.get_num_threads()
    lanes = Lanes(4)

    def work(part: Sequence[int]) -> list[int]:
        return [torch.get_num_threads() for _ in part]

    try:
        assert [lanes.run(work, range(n)) for n in (1, 2, 3, 4)] == [[4], [2] * 2, [1] * 3, [1] * 4]
        assert lanes.run(work, range(1)) == [4]
    finally:
        torch.set_num_threads(before)


def test_lanes_run_at_the_same_time() -> None:
    """Two lanes that wait for each other both end."""
    both = threading.Barrier(2, timeout=5)

    def work(part: Sequence[int]) -> list[int]:
        both.wait()
        return list(part)

    assert Lanes(2).run(work, [1, 2]) == [1, 2]


def test_failure_of_one_lane_waits_for_the_others() -> None:
    """The error comes out when no lane computes any more: the next batch would meet it on the same cores."""
    ended = []

    def work(part: Sequence[int]) -> list[int]:
        if part[0] == 1:
            raise ValueError("poison")
        time.sleep(0.05)
        ended.append(part[0])
        return list(part)

    with pytest.raises(ValueError, match="poison"):
        Lanes(2).run(work, [1, 2])
    assert ended == [2]
