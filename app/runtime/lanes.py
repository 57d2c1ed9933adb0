"""Images on a CPU: side by side on cores of their own, not every image on all cores.

Knows threads, torch's thread counts and the runtime protocol; knows no model. Cores that share one image wait
for one another after every layer; side by side they do not: half as many images again in the same time.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import pairwise

import torch

from app.runtime.protocol import Prediction, Query, Runtime


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


class SideBySide:
    """Splits whole batches over a runtime's lanes, for who has no queue for lanes to take from.

    Used by one thread at a time.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._pool = ThreadPoolExecutor(runtime.lanes, thread_name_prefix="ssvp-lane")

    def predict(self, queries: Sequence[Query]) -> list[Prediction]:
        """Return what the runtime's `predict` does.

        Raises:
            Exception: of the earliest queries that failed; nothing runs any more then.
        """
        count = min(len(queries), self._runtime.lanes)
        if count <= 1:
            return self._runtime.predict(queries)
        bounds = [len(queries) * lane // count for lane in range(count + 1)]
        futures = [
            self._pool.submit(self._runtime.predict, queries[first:end], alone=False)
            for first, end in pairwise(bounds)
        ]
        wait(futures)
        return [prediction for future in futures for prediction in future.result()]
