"""The service's work without the service: decode, runtime and render, as fast as this process can do them.

    .venv/bin/python -m benchmarks.pipeline IMAGE... [--seconds 10] [--in-flight 24]

What a service with the same runtime can reach at most: no HTTP, no event loop, no deadlines, no checks. A pool
decodes images and draws answers, the runtime's lanes compute whatever is ready, as in the service; but on a GPU
the service lets half a batch gather behind another. With `--steps` it reads `latency N`, `throughput SECONDS`
from its standard input and answers each with a line, so that a benchmark can take turns with another process.
"""

import argparse
import contextlib
import math
import queue
import statistics
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

from app.main import load_runtime
from app.runtime.protocol import Prediction, Runtime
from app.settings import Settings
from benchmarks.stages import Opened, conclude, open_picture


class Pipeline:
    """The stages of one image, and two ways to drive them."""

    def __init__(self, runtime: Runtime, settings: Settings, images: list[bytes]) -> None:
        self._runtime, self._settings, self._model = runtime, settings, runtime.info
        self._images = cycle(images)
        self._pool = ThreadPoolExecutor(settings.decode_threads)

    def latency_s(self, count: int) -> list[float]:
        """Inspect images one after the other."""
        took = []
        for _ in range(count):
            began = time.perf_counter()
            opened = self._open()
            conclude(opened, self._runtime.predict([opened.query])[0], self._model)
            took.append(time.perf_counter() - began)
        return took

    def throughput(self, seconds: float, in_flight: int) -> float:
        """Return images a second with so many of them under way."""
        ready: queue.SimpleQueue[Opened] = queue.SimpleQueue()
        end = time.perf_counter() + seconds
        for _ in range(in_flight):
            self._pool.submit(self._feed, ready)
        count = self._runtime.lanes
        with ThreadPoolExecutor(count) as lanes:
            turns = [
                turn
                for lane in lanes.map(self._lane, [ready] * count, [end] * count)
                for turn in lane
            ]
        return sum(turn.result() < end for turn in turns) / seconds

    def _lane(self, ready: "queue.SimpleQueue[Opened]", end: float) -> list[Future[float]]:
        """Compute what is ready until the time is over."""
        turns: list[Future[float]] = []
        while time.perf_counter() < end:
            if batch := self._take(ready):
                predictions = self._runtime.predict([o.query for o in batch], alone=False)
                pairs = zip(batch, predictions, strict=True)
                turns += [self._pool.submit(self._turn, *pair, ready) for pair in pairs]
        return turns

    def _take(self, ready: "queue.SimpleQueue[Opened]") -> list[Opened]:
        """Return a lane's share of what is ready, none after a while without any."""
        batch: list[Opened] = []
        parts = self._runtime.parts
        limit = math.ceil(self._settings.max_batch / parts)
        share = max(1, min(limit, math.ceil(ready.qsize() / parts)))
        with contextlib.suppress(queue.Empty):
            while len(batch) < share:
                batch.append(ready.get(block=not batch, timeout=0.1))
        return batch

    def _turn(
        self, opened: Opened, prediction: Prediction, ready: "queue.SimpleQueue[Opened]"
    ) -> float:
        """Finish an image, begin another; return when the first was finished."""
        conclude(opened, prediction, self._model)
        finished = time.perf_counter()
        self._feed(ready)
        return finished

    def _feed(self, ready: "queue.SimpleQueue[Opened]") -> None:
        ready.put(self._open())

    def _open(self) -> Opened:
        return open_picture(next(self._images), self._runtime, self._settings.max_pixels)


def main() -> None:
    """Measure once, or step by step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--in-flight", type=int, default=24)
    parser.add_argument("--steps", action="store_true")
    options = parser.parse_args()
    settings = Settings()
    runtime = load_runtime(settings)
    pipeline = Pipeline(runtime, settings, [p.read_bytes() for p in options.images])
    runtime.warm_up()
    pipeline.throughput(2, options.in_flight)
    if not options.steps:
        print(f"one at a time: {1e3 * statistics.median(pipeline.latency_s(50)):.1f} ms an image")
        print(f"{pipeline.throughput(options.seconds, options.in_flight):.1f} images a second")
        return
    print("ready", flush=True)
    for line in sys.stdin:
        what, amount = line.split()
        if what == "latency":
            print(*pipeline.latency_s(int(amount)), flush=True)
        else:
            print(pipeline.throughput(float(amount), options.in_flight), flush=True)


if __name__ == "__main__":
    main()
