"""Whose turn is next, who is ahead of whom, and how long a batch may be held open."""

import asyncio
import math
import time

import pytest

from app.engine.waiting import Job, WaitingJobs
from app.engine.worker import Scored
from tests.batching import query

pytestmark = pytest.mark.anyio


def _job(number: int, deadline: float, waited_s: float = 0.0, *, urgent: bool = False) -> Job:
    future: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
    since = time.perf_counter() - waited_s
    return Job(not urgent, deadline, number, query(0.5), future, since)


def _waiting(*jobs: Job) -> WaitingJobs:
    waiting = WaitingJobs()
    for job in jobs:
        waiting.push(job)
    return waiting


async def test_the_order_survives_those_who_leave() -> None:
    """Of forty every third gives up; the others still come by their deadlines."""
    jobs = [_job(number, float(17 * number % 40)) for number in range(40)]
    waiting = _waiting(*jobs)
    for job in jobs[::3]:
        waiting.discard(job)
    left = [waiting.pop().deadline for _ in range(len(waiting))]
    assert left == sorted(job.deadline for number, job in enumerate(jobs) if number % 3)


async def test_of_one_deadline_those_who_came_first_are_ahead() -> None:
    """All images of a batch have the same: each of them counts for the next."""
    waiting = _waiting(_job(1, 5.0), _job(2, 5.0), _job(3, 6.0), _job(4, math.inf))
    assert waiting.before(5.0) == 2
    assert waiting.before(4.0) == 0


async def test_the_wait_of_the_oldest_counts_however_many_join() -> None:
    """Each that joins would otherwise begin the wait anew, and a slow trickle hold the first for ever."""
    waiting = _waiting(_job(1, math.inf, waited_s=30.0), _job(2, math.inf))
    assert 0.0 < waiting.patience_s(60.0, 0.0) <= 30.0
    assert waiting.patience_s(20.0, 0.0) < 0.0


async def test_the_earliest_deadline_counts_also_behind_an_urgent_query() -> None:
    """The golden image goes first though its own deadline is late; it may not make a part late."""
    now = time.perf_counter()
    waiting = _waiting(_job(1, now + 600.0, urgent=True), _job(2, now + 10.0))
    half, twice = 5.0, 10.0 - 2 * 4.0  # of what the part has; of the batch's time, which is left
    assert waiting.patience_s(60.0, 0.0) == pytest.approx(half, abs=0.5)
    assert waiting.patience_s(60.0, 4.0) == pytest.approx(twice, abs=0.5)


async def test_half_of_a_query_s_time_counts_from_its_arrival() -> None:
    """Counted from now, half of what is left would be left for ever."""
    waiting = _waiting(_job(1, time.perf_counter() + 60.0, waited_s=40.0))
    assert waiting.patience_s(600.0, 0.0) == pytest.approx(10.0, abs=0.5)
