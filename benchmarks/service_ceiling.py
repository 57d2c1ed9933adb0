"""How close the service comes to what its own stages can do: throughput, latency, start. `make bench`.

    .venv/bin/python -m benchmarks.service_ceiling [--cores 2] [--rounds 4] [--seconds 8] [IMAGE...]

Service, ceiling (`benchmarks/pipeline.py`) and callers share the same cores and take turns, so that a machine's
drift touches both alike: quote the ratios. The callers' own processor time is part of the service's figures.
"""

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "docs" / "samples"
CALLERS = 24  # enough for two cores
SINGLE_CALLS = 20
START_S = 120.0


class Service:
    """A service in a process of its own, and callers for it."""

    def __init__(self, images: list[bytes], start_s: float = START_S) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._images = images
        environment = {
            **os.environ,
            "SSVP_PORT": str(self._port),
            "SSVP_HOST": "127.0.0.1",
            "SSVP_LOG_LEVEL": "WARNING",
        }
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from app.cli import main; main()", "serve"], env=environment
        )
        try:
            self._wait(start_s)
        except BaseException:
            self.stop()
            raise
        self.start_s = time.perf_counter() - began

    def latency_s(self, count: int) -> list[float]:
        """Send images one after the other, each answer with its heat map."""
        took = []
        with self.connection() as connection:
            for number in range(count):
                began = time.perf_counter()
                self._call(connection, number)
                took.append(time.perf_counter() - began)
        return took

    def throughput(self, seconds: float, callers: int = CALLERS) -> float:
        """Return answers a second with so many callers that each wait for their answer."""
        began = time.perf_counter()

        def caller(first: int) -> int:
            answered = 0
            with self.connection() as connection:
                while time.perf_counter() - began < seconds:
                    self._call(connection, first + answered)
                    answered += 1
            return answered

        with ThreadPoolExecutor(callers) as threads:
            answered = sum(threads.map(caller, range(callers)))
        return answered / (time.perf_counter() - began)

    def stop(self) -> None:
        """End the service in its own way."""
        self.process.terminate()
        self.process.wait()

    def _call(self, connection: http.client.HTTPConnection, number: int) -> None:
        connection.request("POST", "/v1/detect", self._images[number % len(self._images)])
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body.decode()}")

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """Open a connection to the service."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            yield connection
        finally:
            connection.close()

    def _wait(self, start_s: float) -> None:
        end = time.perf_counter() + start_s
        while time.perf_counter() < end and self.process.poll() is None:
            try:
                with self.connection() as connection:
                    connection.request("GET", "/readyz")
                    if connection.getresponse().status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("the service did not become ready")


class Ceiling:
    """The stages without the service, in a process of their own."""

    def __init__(self, images: list[Path], in_flight: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pipeline", "--steps", f"--in-flight={in_flight}"]
            + [str(path) for path in images],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("both were asked for")
        self._to, self._from = self.process.stdin, self.process.stdout
        self._line()

    def latency_s(self, count: int) -> list[float]:
        """Inspect images one after the other."""
        return [float(word) for word in self._ask(f"latency {count}").split()]

    def throughput(self, seconds: float) -> float:
        """Return images a second."""
        return float(self._ask(f"throughput {seconds}"))

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()

    def _ask(self, what: str) -> str:
        self._to.write(what + "\n")
        self._to.flush()
        return self._line()

    def _line(self) -> str:
        if line := self._from.readline():
            return line
        raise RuntimeError("the ceiling's process has ended")


def measure(
    paths: list[Path],
    rounds: int,
    seconds: float,
    start_s: float = START_S,
    callers: int = CALLERS,
) -> None:
    """Let both take turns, with as many images under way as there are callers, and print what was seen."""
    images = [path.read_bytes() for path in paths]
    service = Service(images, start_s)
    try:
        ceiling = Ceiling(paths, callers)
        try:
            _compare(service, ceiling, rounds, seconds, callers)
        finally:
            ceiling.stop()
    finally:
        service.stop()


def _compare(service: Service, ceiling: Ceiling, rounds: int, seconds: float, callers: int) -> None:
    print(f"start to ready: {service.start_s:.1f} s")
    service.throughput(2, callers)
    served, bare, ratios = [], [], []
    for _ in range(rounds):
        served += service.latency_s(SINGLE_CALLS)
        bare += ceiling.latency_s(SINGLE_CALLS)
        one, other = service.throughput(seconds, callers), ceiling.throughput(seconds)
        ratios.append(one / other)
        print(f"at saturation: service {one:.1f}/s, ceiling {other:.1f}/s", flush=True)
    print(
        f"one caller: service {1e3 * statistics.median(served):.1f} ms,"
        f" ceiling {1e3 * statistics.median(bare):.1f} ms,"
        f" overhead {1e3 * (statistics.median(served) - statistics.median(bare)):+.1f} ms"
    )
    print(f"ratios of the rounds: {' '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"service/ceiling throughput ratio {statistics.median(ratios):.2f}")


def main() -> None:
    """Read the options and measure on as many cores as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, nargs="*", default=sorted(SAMPLES.glob("*.png")))
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    measure(options.images, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
