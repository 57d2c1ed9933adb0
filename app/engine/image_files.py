"""Images that a camera PC wrote and a PLC refers to.

Knows files below the allowed folders; tells nobody whether there are others. A share that no longer answers
holds up whoever has files looked for on it, until their deadline, and nobody else: it never has all places.
"""

import asyncio
import contextlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeVar

from app.errors import (
    BodyTooLargeError,
    DeadlinePassedError,
    DrainingError,
    ImagePathError,
    ParameterError,
    QueueFullError,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
READERS, FINDERS = 8, 2  # of each root
SLOW_S = 1.0  # a root for which somebody has waited so long may be dead
MAX_FOUND = 5_000
MAX_TOLD = 256  # characters of a path that come back
OPEN_FILES = Path("/proc/self/fd")


class _Share:
    """One root, with the threads that may be busy, or stuck, below it."""

    def __init__(self, root: Path, most_waiting: int) -> None:
        self.root = root
        self.readers, self.finders = asyncio.Semaphore(READERS), asyncio.Semaphore(FINDERS)
        self._most_waiting = most_waiting
        self._since: dict[object, float] = {}  # of each that waits, the longest first

    @contextlib.contextmanager
    def waited_for(self) -> Iterator[None]:
        """Count in somebody who waits for a file, or refuse; a thread that is stuck is nobody's any more."""
        waiting, now = len(self._since), time.perf_counter()
        if waiting >= self._most_waiting and now - next(iter(self._since.values())) > SLOW_S:
            raise QueueFullError(f"{waiting} requests wait for files of that folder already")
        me = object()
        self._since[me] = now
        try:
            yield
        finally:
            del self._since[me]


class ImageFiles:
    """Reads images below the roots, a few at a time, each on a thread of its own.

    Such a thread may hang in the operating system for ever; being a daemon it does not keep the process. Roots
    are tried in order, each with threads of its own; an absolute path that begins with a root is looked for
    there alone.

    Args:
        roots: folders that may be read from, subfolders included; none: no file is read.
        limit_bytes: largest file.
        places: how many requests are served at once. A root that may be dead has no more than its share of them
            waiting; as large a one is left for those who send pictures, though all roots be dead.
    """

    def __init__(self, roots: Sequence[Path], limit_bytes: int, places: int) -> None:
        most_waiting = max(1, places // (len(roots) + 1))
        self._shares = [_Share(root, most_waiting) for root in roots]
        self._limit_bytes = limit_bytes
        self._waits: set[asyncio.Timeout] = set()
        self._closed = False

    def look_for_roots(self) -> None:
        """Log which roots are no folders: every `image_path` would be 404, as if the camera wrote nothing.

        They stay in use, since a share may be mounted later. One that is dead is waited for by a thread alone.
        """
        for share in self._shares:
            threading.Thread(target=_warn_of_no_folder, args=(share.root,), daemon=True).start()

    def close(self) -> None:
        """End every wait in `DrainingError`, also those that begin from now on."""
        self._closed = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0.0)

    async def read(self, path: str, deadline: float) -> bytes:
        """Read one image.

        Args:
            path: relative to a root, or absolute.
            deadline: `time.perf_counter()` value after which nobody waits for it.

        Raises:
            ParameterError: no file is read here.
            QueueFullError: the root may be dead, and as many wait for its files as may; or the system has no
                thread left.
            DeadlinePassedError: it was not read in time.
            DrainingError: it was not read when the service had no more time.
            ImagePathError: there is no such file in any root, or what is there is no plain file.
            BodyTooLargeError: the file is larger than the limit.
        """
        self._refuse_without_roots()
        for share in self._shares_of(Path(path)):
            work = partial(read_image_file, path, share.root, self._limit_bytes)
            with share.waited_for():
                found = await self._on_thread(share.readers, work, deadline)
            if found is not None:
                return found
        raise ImagePathError(f"there is no image at {path[:MAX_TOLD]!a} below the allowed folders")

    async def find(self, pattern: str, deadline: float) -> list[str]:
        """Return the paths of all files that a pattern like `line3/good/*.png` means, in order of their names.

        Args:
            pattern: relative to a root, with `*`, `?` and `[...]` within names; no `**`, which could walk a
                whole share. The first root that has any such file is taken.
            deadline: `time.perf_counter()` value after which nobody waits for it.

        Raises:
            ParameterError: no file is read here, or more than `MAX_FOUND` are meant.
            QueueFullError: the system has no thread left.
            DeadlinePassedError, DrainingError: see `read`.
            ImagePathError: no file is meant, or the pattern is none.
        """
        self._refuse_without_roots()
        parts = Path(pattern).parts
        if not parts or Path(pattern).is_absolute() or ".." in parts or "**" in pattern:
            raise ImagePathError(
                "the pattern must be relative to an allowed folder, without .. and **"
            )
        for share in self._shares:
            work = partial(find_image_files, pattern, share.root, deadline)
            if found := await self._on_thread(share.finders, work, deadline):
                return found
        raise ImagePathError(f"no file below the allowed folders fits {pattern[:MAX_TOLD]!a}")

    def _shares_of(self, path: Path) -> list[_Share]:
        named = [share for share in self._shares if path.is_relative_to(share.root)]
        return named if named and ".." not in path.parts else self._shares

    def _refuse_without_roots(self) -> None:
        if not self._shares:
            raise ParameterError(
                "image_path: this service reads no files; SSVP_IMAGE_ROOTS is not set"
            )

    async def _on_thread(
        self, free: asyncio.Semaphore, work: Callable[[], T], deadline: float
    ) -> T:
        wait = asyncio.timeout(0.0 if self._closed else deadline - time.perf_counter())
        self._waits.add(wait)
        try:
            async with wait:
                await free.acquire()
                return await _started(free, work)
        except TimeoutError:
            if self._closed:
                raise DrainingError("the service is shutting down") from None
            raise DeadlinePassedError("the file was not read in time") from None
        finally:
            self._waits.discard(wait)


def _warn_of_no_folder(root: Path) -> None:
    with contextlib.suppress(OSError):  # as of a share that has gone stale
        if root.is_dir() and os.access(root, os.R_OK | os.X_OK):
            return
    logger.warning("SSVP_IMAGE_ROOTS: %s is no folder that can be read", root)


def _started(free: asyncio.Semaphore, work: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def done(resolve: Callable[[], None]) -> None:
        free.release()
        if not future.done():  # else nobody waits any more
            resolve()

    def run() -> None:
        try:
            found = work()
        except Exception as error:  # noqa: BLE001 - its waiter gets it
            resolve = partial(future.set_exception, error)
        else:
            resolve = partial(future.set_result, found)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(done, resolve)

    try:
        threading.Thread(target=run, name="ssvp-file", daemon=True).start()
    except RuntimeError as error:
        free.release()
        raise QueueFullError("the system has no thread left for reading files") from error
    return future


def read_image_file(path: str, root: Path, limit_bytes: int) -> bytes | None:
    """Read an image below a root; None if there is no such file.

    Raises:
        ImagePathError: what is there is no plain file, or cannot be read.
        BodyTooLargeError: the file is larger than the limit.
    """
    found = _inside(root, path)
    return None if found is None else _read(found, root, limit_bytes)


def find_image_files(pattern: str, root: Path, deadline: float) -> list[str]:
    """Return the files below a root that a pattern means, by name; gives up when nobody waits any more.

    Raises:
        ParameterError: more than `MAX_FOUND` are meant.
    """
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # see _inside
        real_root = root.resolve(strict=True)
        awaited = takewhile(lambda _: time.perf_counter() < deadline, real_root.glob(pattern))
        matches = (str(p.relative_to(real_root)) for p in awaited)
        found = list(islice((m for m in matches if _inside(root, m)), MAX_FOUND + 1))
        if len(found) > MAX_FOUND:  # which ones to leave out would be the file system's choice
            raise ParameterError(f"image_path: more than {MAX_FOUND} files fit; name fewer")
        return sorted(found)
    return []


def _inside(root: Path, path: str) -> Path | None:
    """Return the real path of a file, links followed, if it lies below the root."""
    try:
        real_root = root.resolve(strict=True)
        real = (real_root / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing; a null character; links in a circle
        return None
    return real if real.is_relative_to(real_root) and real.is_file() else None


def _read(path: Path, root: Path, limit_bytes: int) -> bytes:
    # A link put there since the path was resolved is refused, a pipe put there is not waited for.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise ImagePathError("the image at that path cannot be read") from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - it is open already
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImagePathError("what is at that path is no plain file")
        if not _still_inside(descriptor, root):
            raise ImagePathError("the image at that path cannot be read")
        try:
            data = file.read(limit_bytes + 1)
        except OSError as error:
            raise ImagePathError("the image at that path cannot be read") from error
    if len(data) > limit_bytes:
        raise BodyTooLargeError(f"the file is larger than {limit_bytes} bytes")
    return data


def _still_inside(descriptor: int, root: Path) -> bool:
    """Ask the system where an open file really is: a folder on its path may have become a link meanwhile."""
    if not OPEN_FILES.is_dir():  # not Linux
        return True
    real = Path(os.readlink(OPEN_FILES / str(descriptor)))  # noqa: PTH115 - not followed further
    return real.is_relative_to(root.resolve())
