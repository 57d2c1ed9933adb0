"""Who gets the next free thread, and that none is ever lost."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.engine.image_threads import ImageThreads, Stage
from app.errors import DrainingError, QueueFullError
from tests.fakes import no_thread


class _Desk:
    """One thread, busy until it is let go, and a list of what was done on it."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.threads = ImageThreads(self.pool, 1)
        self.done: list[str] = []
        self.go_on = threading.Event()

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)

    async def occupied(self) -> "asyncio.Task[bool]":
        task = asyncio.create_task(self.threads.run(Stage.OPEN, 0.0, lambda: self.go_on.wait(10)))
        await asyncio.sleep(0)
        return task

    async def queue(self, stage: Stage, deadline: float, name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(self.threads.run(stage, deadline, self.note(name)))
        await asyncio.sleep(0)
        return task


async def _order(desk: _Desk) -> list[str]:
    first = await desk.occupied()
    waiting = [
        await desk.queue(Stage.OPEN, 5.0, "open, late"),
        await desk.queue(Stage.OPEN, 1.0, "open, soon"),
        await desk.queue(Stage.CONCLUDE, 9.0, "conclude"),
        await desk.queue(Stage.OPEN, 1.0, "open, soon, came after"),
    ]
    desk.go_on.set()
    await asyncio.gather(first, *waiting)
    return desk.done


def test_scored_images_go_first_then_the_earliest_deadline() -> None:
    """Arrival decides only among equals."""
    assert asyncio.run(_order(_Desk())) == [
        "conclude",
        "open, soon",
        "open, soon, came after",
        "open, late",
    ]


async def _give_up(desk: _Desk) -> list[str]:
    first = await desk.occupied()
    given_up = await desk.queue(Stage.OPEN, 1.0, "given up")
    other = await desk.queue(Stage.OPEN, 2.0, "other")
    given_up.cancel()
    desk.go_on.set()
    await asyncio.gather(first, other, given_up, return_exceptions=True)
    await asyncio.wait_for(desk.threads.run(Stage.OPEN, 0.0, desk.note("afterwards")), 10)
    return desk.done


def test_work_that_is_given_up_is_not_done_and_keeps_no_thread() -> None:
    """The next one has its turn."""
    assert asyncio.run(_give_up(_Desk())) == ["other", "afterwards"]


async def _give_up_at_its_turn(desk: _Desk) -> list[str]:
    first = await desk.occupied()
    late = await desk.queue(Stage.OPEN, 1.0, "late")
    desk.threads._release()  # its turn comes ...
    late.cancel()  # ... and it is cancelled before it runs
    desk.go_on.set()
    await asyncio.gather(first, late, return_exceptions=True)
    for number in range(3):
        work = desk.note(f"afterwards {number}")
        await asyncio.wait_for(desk.threads.run(Stage.OPEN, 0.0, work), 10)
    return desk.done


def test_a_turn_that_comes_with_the_cancellation_is_passed_on() -> None:
    """No thread is lost between the two."""
    expected = ["afterwards 0", "afterwards 1", "afterwards 2"]
    assert asyncio.run(_give_up_at_its_turn(_Desk())) == expected


async def _after_the_end(desk: _Desk) -> None:
    desk.pool.shutdown()
    await desk.threads.run(Stage.OPEN, 0.0, desk.note("too late"))


def test_a_pool_that_was_shut_down_refuses() -> None:
    """The caller is told that the service is shutting down."""
    with pytest.raises(DrainingError):
        asyncio.run(_after_the_end(_Desk()))


async def _without_a_thread(desk: _Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(QueueFullError):
            await desk.threads.run(Stage.OPEN, 0.0, lambda: None)
    await asyncio.wait_for(desk.threads.run(Stage.OPEN, 0.0, desk.note("afterwards")), 10)
    return desk.done


def test_a_thread_that_cannot_be_started_is_no_shutdown_and_stays_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller may try again, and finds it."""
    assert asyncio.run(_without_a_thread(_Desk(), monkeypatch)) == ["afterwards"]
