"""Pictures that a call sends, from wherever they are.

Knows files and threads; knows no call. A share that no longer answers holds up nothing but the reading.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO

MOST_READING = 256  # threads; those that hang on a dead share stay until it answers
_TRY_AGAIN_S = 0.01
_places = threading.BoundedSemaphore(MOST_READING)

Image = bytes | bytearray | memoryview | str | PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Picture:
    """A picture in memory and what to call it."""

    name: str
    data: bytes


async def read_picture(image: Image) -> Picture:
    """Read a picture from wherever it is.

    Args:
        image: encoded bytes, the path of a file, or a file opened for reading bytes.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return Picture("image", bytes(image))
    if isinstance(image, str | PathLike):
        path = Path(image)
        return Picture(path.name, await _on_thread(path.read_bytes))
    name = getattr(image, "name", "image")
    data = await _on_thread(image.read)
    return Picture(Path(name).name if isinstance(name, str) else "image", bytes(data))


async def _on_thread(read: Callable[[], bytes]) -> bytes:
    """Read on a thread of its own: one that hangs holds up no other and does not keep the program.

    Where too many hang, who asks waits for one of them to end, and no longer than its call may take.
    """
    while not _places.acquire(blocking=False):  # a program may have several event loops
        await asyncio.sleep(_TRY_AGAIN_S)
    found: Future[bytes] = Future()
    found.set_running_or_notify_cancel()  # who gives up waiting does not end the reading

    def run() -> None:
        try:
            found.set_result(read())
        except Exception as error:  # noqa: BLE001 - its waiter gets it
            found.set_exception(error)
        finally:
            _places.release()

    try:
        threading.Thread(target=run, name="ssvp-picture", daemon=True).start()
    except RuntimeError:  # the system has no thread left
        _places.release()
        raise
    return await asyncio.wrap_future(found)
