"""Where the process begins: a signal ends it from its first moment on.

A container's first process has no default handling of signals: one that came while the command's modules are
imported would be ignored, and the container killed after its grace time. Knows nothing else.
"""

import signal
import sys
from types import FrameType

_BY_SIGNAL = 128  # a shell's exit code for a process that a signal ended, plus the signal's number


def main() -> None:
    """Run the `ssvp` command."""
    signal.signal(signal.SIGTERM, _exit)
    from app import cli  # here, because it takes a second

    cli.main()


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(_BY_SIGNAL + number)


if __name__ == "__main__":
    main()
