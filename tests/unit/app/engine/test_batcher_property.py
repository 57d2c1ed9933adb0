"""The queue's promise under any mix of load: every query is answered once, with its own result."""

import asyncio
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.waiting import BatchLimits
from app.engine.worker import Scored
from app.errors import (
    InferenceError,
    LateError,
    QueueFullError,
)
from tests.batching import query, started
from tests.fakes import FakeRuntime

SCRIPT = st.lists(
    st.tuples(
        st.sampled_from(["good", "good", "good", "poison", "leaves", "late"]), st.floats(0, 1)
    ),
    min_size=1,
    max_size=30,
)


def _deadline(kind: str, value: float) -> float:
    return time.perf_counter() + (value * 0.005 if kind == "late" else 60 + value)


@settings(max_examples=100)
@given(SCRIPT, st.integers(1, 6), st.integers(1, 40), st.sampled_from([0.0, 0.001]))
def test_every_query_is_answered_with_its_own_result(
    script: list[tuple[str, float]], max_batch: int, queue_size: int, max_wait_s: float
) -> None:
    """Under any mix of load, poison, callers who leave and a small queue."""

    async def play() -> None:
        runtime = FakeRuntime(poison=["poison"])
        runtime.on_predict = lambda: time.sleep(0.0002)
        batcher = await started(runtime, BatchLimits(max_batch, max_wait_s, queue_size))
        tasks = [
            asyncio.create_task(batcher.submit(query(value, kind), _deadline(kind, value)))
            for kind, value in script
        ]
        await asyncio.sleep(0)
        for task, (kind, _) in zip(tasks, script, strict=True):
            if kind == "leaves":
                task.cancel()
        found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        await batcher.stop(5)
        for (kind, value), outcome in zip(script, found, strict=True):
            if isinstance(outcome, QueueFullError):
                assert len(script) > queue_size
            elif kind == "good":
                assert isinstance(outcome, Scored)
                assert abs(outcome.prediction.score - value) < 1e-6
                assert outcome.batch_size <= max_batch
            elif kind == "poison":
                assert isinstance(outcome, InferenceError)
            elif kind == "late":
                assert isinstance(outcome, LateError | Scored)
            else:
                assert isinstance(outcome, asyncio.CancelledError)
        assert batcher.depth == 0

    asyncio.run(play())
