"""Pictures from shares that may not answer."""

import asyncio
import io
import threading

import pytest

from app.client import pictures
from app.client.pictures import read_picture

pytestmark = pytest.mark.anyio


class _Hanging(io.BytesIO):
    """A file whose share does not answer until it is let go."""

    def __init__(self, answers: threading.Event) -> None:
        super().__init__(b"late")
        self._answers = answers

    def read(self, size: int | None = -1, /) -> bytes:
        self._answers.wait(30)
        return super().read(size)


async def test_a_dead_share_does_not_take_thread_after_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only so many hang; who asks then waits, and is served when one of them has ended."""
    monkeypatch.setattr(pictures, "_places", threading.BoundedSemaphore(2))
    answers = threading.Event()
    try:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read_picture(_Hanging(answers)), 0.05)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("ssvp-picture") == 2
    finally:
        answers.set()
    found = await asyncio.wait_for(read_picture(io.BytesIO(b"whole")), 10)
    assert found.data == b"whole"


async def test_a_picture_that_cannot_be_read_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of one is no error of the next."""
    monkeypatch.setattr(pictures, "_places", threading.BoundedSemaphore(1))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            await asyncio.wait_for(read_picture("gone.png"), 10)
    assert (await read_picture(io.BytesIO(b"whole"))).data == b"whole"
