"""What tests of the client share: a picture that cannot be read."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

LONGEST_S = 20.0  # so that a client which waits for ever fails its test and does not hang it


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Path]:
    """A picture whose reading does not end, as on a dead share: a pipe without a writer."""
    path = tmp_path / "part.png"
    os.mkfifo(path)

    def end() -> None:
        os.close(os.open(path, os.O_RDWR))  # its readers find its end

    late = threading.Timer(LONGEST_S, end)
    late.start()
    yield path
    late.cancel()
    end()
