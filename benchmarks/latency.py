"""Latency of one image at a time: through the runtime, and through a running service.

    .venv/bin/python benchmarks/latency.py IMAGE [--url http://localhost:8080] [--rounds 50]

The two are measured in turn, so that a machine's drift touches both alike; quote the ratio.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from app.engine.decode import decode
from app.runtime.protocol import Query
from app.runtime.ssvp import load_runtime


def _milliseconds(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return (time.perf_counter() - started_s) * 1e3


def _row(name: str, values: list[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return f"{name:32} median {statistics.median(values):7.1f} ms   p95 {p95:7.1f} ms"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--bundle", default="ssvp-nano")
    options = parser.parse_args()
    data = options.image.read_bytes()
    runtime = load_runtime(options.bundle)
    runtime.warm_up()

    def in_process() -> None:
        image = decode(data, 1 << 30)
        runtime.predict([Query(runtime.prepare(image), "magnetic tile")])

    client = httpx.Client()

    def over_http() -> None:
        client.post(f"{options.url}/v1/detect", content=data).raise_for_status()

    local, remote = [], []
    for _ in range(options.rounds):
        local.append(_milliseconds(in_process))
        if options.url:
            remote.append(_milliseconds(over_http))
    print(_row("decode + runtime, in process", local))
    if remote:
        print(_row("service, heat map included", remote))
        print(
            f"service / in process ratio {statistics.median(remote) / statistics.median(local):.2f}"
        )


if __name__ == "__main__":
    main()
