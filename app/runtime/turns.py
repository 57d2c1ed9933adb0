"""Who computes when: on a GPU one batch after the other, while the next one's images are sent.

Knows streams and locks; knows no model. Threads call as they like; each comes back with its own batch computed.
"""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import torch


class Turns(Protocol):
    """The order in which threads use a device."""

    def sending(self) -> AbstractContextManager[None]:
        """Within it a batch's images are copied to the device."""
        ...

    def computing(self) -> AbstractContextManager[None]:
        """Within it what was sent is computed; all of that is done once it is left."""
        ...


class CpuTurns:
    """None: every thread computes at any time."""

    def sending(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return contextlib.nullcontext()

    def computing(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return contextlib.nullcontext()


class CudaTurns:
    """A stream for copies, a stream for computing, and a lock for the latter.

    What was sent may be freed after `computing` only: then nothing reads it any more.

    Attributes:
        stream: on which everything is computed; not torch's default stream.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self._copies = torch.cuda.Stream(device)
        self._lock = threading.Lock()

    def sending(self) -> AbstractContextManager[None]:
        """Copy on a stream that waits for no batch."""
        context: AbstractContextManager[None] = torch.cuda.stream(self._copies)
        return context

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Wait for the thread before and for what this one sent; the next goes on before results are read."""
        sent = self._copies.record_event()
        with self._lock, torch.cuda.stream(self.stream):
            self.stream.wait_event(sent)
            try:
                yield
            except BaseException:
                with contextlib.suppress(RuntimeError):  # of a lost device
                    self.stream.synchronize()
                raise
            computed = self.stream.record_event()
        computed.synchronize()
