"""A batch on a CPU: images side by side on cores of their own, not every image on all cores.

Knows threads and torch's thread counts; knows no model. Cores that share one image wait for one another
after every layer; side by side they meet once a batch: half as many images again in the same time.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use the calling thread alone for a while.

    Every thread that once used more keeps helpers of its own, and OpenMP puts helpers to sleep much sooner when
    there are more of them than cores: a forward pass elsewhere took a third longer.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Lanes:
    """Splits batches over cores. Used by one thread at a time, for torch's thread counts belong to the process.

    Args:
        threads: how many threads torch may use.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ssvp-lane")

    def run(self, work: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
        """Return what `work` returns for the items, in their order; a single item gets all cores.

        Raises:
            Exception: what `work` raised on the earliest items that it failed on; nothing runs any more then.
        """
        count = min(len(items), self._threads)
        if count <= 1:
            torch.set_num_threads(self._threads)
            return work(items)
        parts = [
            items[len(items) * lane // count : len(items) * (lane + 1) // count]
            for lane in range(count)
        ]
        each = self._threads // count

        def in_lane(part: Sequence[T]) -> list[R]:
            torch.set_num_threads(each)  # OpenMP's count is every thread's own
            return work(part)

        futures = [self._pool.submit(in_lane, part) for part in parts]
        wait(futures)
        return [result for future in futures for result in future.result()]
