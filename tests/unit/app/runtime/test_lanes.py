"""Batches side by side: everything computed once, in order, and nothing left running."""

import threading
import time

import numpy as np
import pytest
import torch

from app.runtime.lanes import SideBySide, one_thread
from app.runtime.protocol import Query
from tests.fakes import MAP_PX, FakeRuntime


def _queries(*values: float) -> list[Query]:
    return [
        Query(np.full((MAP_PX, MAP_PX), value, dtype=np.float32), str(value)) for value in values
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_results_come_in_the_queries_order(lanes: int, count: int) -> None:
    """Every query is computed once, whatever the number of lanes, and every lane has about as many."""
    runtime = FakeRuntime()
    runtime.lanes = lanes
    values = [i / 8 for i in range(count)]
    assert [p.score for p in SideBySide(runtime).predict(_queries(*values))] == values
    sizes = [len(batch) for batch in runtime.batches]
    assert sum(sizes) == count
    assert len(sizes) == min(count, lanes)
    assert max(sizes) - min(sizes) <= 1
    assert runtime.alone == [len(sizes) == 1] * len(sizes)


def test_lanes_run_at_the_same_time() -> None:
    """Two lanes that wait for each other both end."""
    runtime = FakeRuntime()
    runtime.lanes = 2
    both = threading.Barrier(2, timeout=5)
    runtime.on_predict = both.wait
    assert [p.score for p in SideBySide(runtime).predict(_queries(0.25, 0.5))] == [0.25, 0.5]


def test_failure_of_one_lane_waits_for_the_others() -> None:
    """The error comes out when no lane computes any more: the next batch would meet it on the same cores."""
    runtime = FakeRuntime(poison=["0.25"])
    runtime.lanes = 2
    calls: list[None] = []

    def second_is_slow() -> None:
        calls.append(None)
        if len(calls) == 2:
            time.sleep(0.05)

    runtime.on_predict = second_is_slow
    with pytest.raises(RuntimeError, match="poisoned"):
        SideBySide(runtime).predict(_queries(0.25, 0.5))
    assert sorted(runtime.batches) == [["0.25"], ["0.5"]]


def test_one_thread_for_a_while() -> None:
    """What comes after has the threads that were there before."""
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
