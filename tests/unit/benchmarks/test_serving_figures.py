"""The load test's arithmetic: percentiles, due times and sums that hide nothing."""

import asyncio
import math
import time
from itertools import pairwise

import pytest

from benchmarks.serving.figures import Outcome, arrivals, percentile, summarise
from benchmarks.serving.load import open_loop

STALL_S = 0.2


def test_percentile_is_the_smallest_value_that_covers_the_share() -> None:
    """Of 1 to 100, 50 covers half and 99 covers 99 %; one value is every percentile; nothing has none."""
    values = list(range(100, 0, -1))
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7.0
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize("seed", range(3))
def test_arrivals_have_the_rate_and_no_rhythm(seed: int) -> None:
    """Exactly rate x seconds requests are due, in order, within the time, at irregular distances."""
    due = arrivals(50, 20, seed)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert len(due) == 1000
    assert due[0] > 0
    assert due[-1] < 20
    assert min(gaps) >= 0
    # An exponential distribution's deviation is its mean; a regular schedule's is 0.
    mean = sum(gaps) / len(gaps)
    assert sum((g - mean) ** 2 for g in gaps) / len(gaps) == pytest.approx(mean**2, rel=0.25)
    assert due == arrivals(50, 20, seed)


def test_summary_counts_what_was_late_refused_or_after_the_end() -> None:
    """Refusals are no verdicts, late verdicts are not in time, and one after the window makes no throughput."""
    outcomes = [
        Outcome(0.0, 0.5, 200),
        Outcome(0.0, 1.5, 200),  # late
        Outcome(1.0, 1.1, 503),
        Outcome(1.9, 2.4, 200),  # in time, after the window
        Outcome(1.9, 9.0, 0),
    ]
    figures = summarise(outcomes, deadline_s=1.0, window_s=2.0)
    assert (figures.sent, figures.served) == (5, 3)
    assert figures.refused == {"503": 1, "0": 1}
    assert figures.throughput == 1.0
    assert figures.p50_ms == pytest.approx(500)
    assert figures.p99_ms == pytest.approx(1500)
    assert figures.in_time == 2 / 5


async def _stalling_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request at once, but let the whole loop, callers included, stand still for one of them."""
    while head := await reader.read(1024):
        if head.startswith(b"STALL"):
            time.sleep(STALL_S)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.close()


@pytest.mark.anyio
async def test_open_loop_counts_from_the_schedule_when_nothing_moves() -> None:
    """A stall changes neither what is due nor when: requests that were sent late do not look fast."""
    async with await asyncio.start_server(_stalling_server, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        outcomes = await open_loop(port, [b"STALL", *[b"GO"] * 39], rate=100, seconds=0.4, seed=1)
        await asyncio.sleep(0.05)
    assert [o.due_s for o in outcomes] == arrivals(100, 0.4, 1)
    assert all(o.served for o in outcomes)
    assert max(o.latency_s for o in outcomes) >= STALL_S
