"""What happens before the command's modules are there."""

import os
import signal
from collections.abc import Iterator

import pytest

from app import __main__, cli


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The test's own process keeps its handling of signals."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_ends_a_command_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handled, not left to the default, which a container's first process does not have."""
    monkeypatch.setattr(cli, "main", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 143
