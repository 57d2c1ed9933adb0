"""One server, from its start over every load to its end.

Knows the order of loads and what is recorded of each; knows no table.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.agreement import disagreement
from benchmarks.serving.figures import Figures, summarise
from benchmarks.serving.load import Connection, closed_loop, open_loop
from benchmarks.serving.peers import OURS, ROOT, Fields, Peer
from benchmarks.serving.processes import memory, running, wait_until_ready

WARM_UP_CLIENTS = 8
_PAUSE_S = 0.5


@dataclass(frozen=True)
class Conditions:
    """What is the same for every server.

    Attributes:
        images: encoded pictures, sent in turn.
        server_cores, client_cores: where each side runs.
        port: first of four TCP ports.
        seconds: of each load.
        warm_up_s: of load before anything is measured.
        deadline_s: a caller's patience in open loops.
        logs: folder for the servers' output.
    """

    images: Sequence[bytes]
    server_cores: set[int]
    client_cores: set[int]
    port: int
    seconds: float
    warm_up_s: float
    deadline_s: float
    logs: Path


@dataclass(frozen=True)
class Bout:
    """One load on one server, as it goes into the results."""

    peer: str
    load: str
    layout: tuple[int, int]
    figures: Figures
    pss_mib: float
    rss_mib: float
    machine_load: float

    def fields(self) -> dict[str, Any]:
        """Return what is written to JSON."""
        return asdict(self)


class Visit:
    """A server that runs, and loads put on it."""

    def __init__(self, peer: Peer, layout: tuple[int, int], pid: int, on: Conditions) -> None:
        self._peer, self._layout, self._pid, self._on = peer, layout, pid, on

    def warm_up(self, deadline_s: float) -> None:
        """Load the server until it is as fast as it gets; nothing is recorded."""
        requests = self._requests(deadline_s)
        asyncio.run(closed_loop(self._on.port, requests, WARM_UP_CLIENTS, self._on.warm_up_s))

    def closed(self, clients: int) -> Bout:
        """Measure a closed loop."""
        requests = self._requests(0.0)
        outcomes = asyncio.run(closed_loop(self._on.port, requests, clients, self._on.seconds))
        figures = summarise(outcomes, self._on.deadline_s, self._on.seconds)
        return self._bout(f"closed {clients}", figures)

    def open(self, share: float, rate: float, seed: int) -> Bout:
        """Measure an open loop at a rate."""
        requests, seconds = self._requests(self._on.deadline_s), self._on.seconds
        outcomes = asyncio.run(open_loop(self._on.port, requests, rate, seconds, seed))
        figures = summarise(outcomes, self._on.deadline_s, seconds)
        return self._bout(f"open {100 * share:.0f} %", figures)

    def answers(self) -> list[Fields]:
        """Return the answer to every image, sent one by one.

        Raises:
            RuntimeError: an image was not answered with a verdict.
        """
        return asyncio.run(self._answers())

    async def _answers(self) -> list[Fields]:
        connection, found = Connection(self._on.port), []
        for request in self._requests(0.0):
            answer = await connection.call(request)
            if answer.status != 200:
                raise RuntimeError(f"{self._peer.name} answered {answer.status}: {answer.body!r}")
            found.append(self._peer.read(answer.body))
        connection.close()
        return found

    def _requests(self, deadline_s: float) -> list[bytes]:
        told = self._peer.name == OURS and deadline_s
        query = f"deadline_ms={1000 * deadline_s:.0f}" if told else ""
        return [self._peer.request(image, self._on.port, query) for image in self._on.images]

    def _bout(self, load: str, figures: Figures) -> Bout:
        held = memory(self._pid)
        average = os.getloadavg()[0]
        return Bout(
            self._peer.name, load, self._layout, figures, held.pss_mib, held.rss_mib, average
        )


@contextmanager
def visit(
    peer: Peer, layout: tuple[int, int], deadline_s: float, on: Conditions
) -> Iterator[Visit]:
    """Start a server, wait until it is ready, end it.

    Args:
        peer: which one.
        layout: workers, and threads of each.
        deadline_s: what it is told of its callers' patience; 0: nothing.
        on: conditions.
    """
    workers, threads = layout
    environment = {
        "PEER_PORT": str(on.port),
        "PEER_WORKERS": str(workers),
        "PEER_DEADLINE_S": str(deadline_s),
        "PYTHONPATH": str(ROOT),
        "BENTOML_DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",  # these two: Ray's guide to high throughput
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    }
    if peer.name == OURS:
        environment |= {"SSVP_PORT": str(on.port), "SSVP_HOST": "127.0.0.1"}
    else:
        environment |= {"OMP_NUM_THREADS": str(threads)}
    command = [str(peer.python), *peer.command(on.port)]
    os.sched_setaffinity(0, on.client_cores)
    log = on.logs / f"{peer.name}.log"
    with running(command, environment, on.server_cores, log) as pid:
        wait_until_ready(pid, f"http://127.0.0.1:{on.port}{peer.health}")
        yield Visit(peer, layout, pid, on)


def check(peers: Sequence[Peer], expected: Sequence[Fields], on: Conditions) -> None:
    """End the benchmark unless every peer answers what this service answers.

    Raises:
        SystemExit: one differs; it says where.
    """
    for peer in peers:
        with visit(peer, peer.layouts[0], 0.0, on) as server:
            for number, (ours, theirs) in enumerate(zip(expected, server.answers(), strict=True)):
                if difference := disagreement(ours, theirs):
                    sys.exit(f"{peer.name}, image {number}: {difference}")
        print(f"{peer.name}: same answers to {len(expected)} images", flush=True)
