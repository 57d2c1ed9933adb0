"""Many pictures through one client: several at a time, results in the pictures' order.

Knows the client; knows nothing of terminals.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client.answers import Inspection
from app.client.asynchronous import AsyncSSVPClient
from app.client.calls import DetectOptions
from app.client.errors import SSVPError
from app.commands.pictures import why_missing
from app.path_text import as_text


@dataclass(frozen=True)
class Failure:
    """Why there is no verdict; `code` as docs/api.md lists them, or `file_missing`, `file_unreadable`."""

    code: str
    message: str


@dataclass(frozen=True)
class Inspected:
    """One picture and what became of it; one of the last two is None."""

    file: Path
    inspection: Inspection | None
    failure: Failure | None = None

    @property
    def name(self) -> str:
        """The file's name for people."""
        return as_text(self.file)

    def row(self, heatmap_file: Path | None) -> dict[str, Any]:
        """Return what `--json` says of it; heat maps are files, not members."""
        if self.inspection is None:
            failure = self.failure or Failure("internal", "")
            no_verdict = {"result": "NONE", "result_code": 2}
            return {
                "file": self.name,
                **no_verdict,
                "code": failure.code,
                "detail": failure.message,
            }
        found = self.inspection.model_dump(mode="json", exclude={"heatmap"})
        written = None if heatmap_file is None else as_text(heatmap_file)
        return {"file": self.name, **found, "heatmap_file": written}


async def inspect_all(
    client: AsyncSSVPClient, files: Sequence[Path], options: DetectOptions, callers: int
) -> AsyncIterator[Inspected]:
    """Inspect files, at most so many at a time; yield them in their order, failures among them."""
    waiting = deque(files)
    running: deque[asyncio.Task[Inspected]] = deque()
    places = asyncio.Semaphore(callers)
    ahead = (
        4 * callers
    )  # beyond these nothing is begun until the first is taken: answers hold pictures
    try:
        while waiting or running:
            while waiting and len(running) < ahead:
                file = waiting.popleft()
                running.append(asyncio.create_task(_inspect(client, file, options, places)))
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _inspect(
    client: AsyncSSVPClient, file: Path, options: DetectOptions, places: asyncio.Semaphore
) -> Inspected:
    async with places:
        try:
            return Inspected(file, await client.detect(file, **options))
        except SSVPError as error:
            return Inspected(file, None, Failure(error.code, str(error)))
        except OSError as error:
            return Inspected(file, None, _unread(file, error))


def missing(file: Path) -> Inspected:
    """Return what became of a file that is not there."""
    return Inspected(file, None, Failure("file_missing", why_missing(file)))


def _unread(file: Path, error: OSError) -> Failure:
    if isinstance(error, FileNotFoundError | IsADirectoryError):
        return Failure("file_missing", why_missing(file))
    return Failure("file_unreadable", error.strerror or str(error))
