"""One server: its start, the loads put on it, what is recorded of each, its end.

Knows one server at a time; knows neither the order of servers nor tables.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.agreement import disagreement
from benchmarks.serving.figures import Figures, summarise
from benchmarks.serving.load import Connection, closed_loop, open_loop
from benchmarks.serving.peers import OURS, PEERS, ROOT, Fields, Peer
from benchmarks.serving.processes import memory_mib, running, send, wait_until_ready

WARM_UP_CLIENTS, HEAVIEST_CLIENTS = 8, 32
PORTS_EACH = 4
_PAUSE_S = 0.5


@dataclass(frozen=True)
class Conditions:
    """What is the same for every server.

    Attributes:
        images: encoded pictures, sent in turn.
        server_cores, client_cores: where each side runs.
        port: first TCP port; every server has four.
        warm_up_s: of load before anything is measured.
        deadline_s: a caller's patience in open loops.
        logs: folder for the servers' output.
    """

    images: Sequence[bytes]
    server_cores: set[int]
    client_cores: set[int]
    port: int
    warm_up_s: float
    deadline_s: float
    logs: Path


@dataclass(frozen=True)
class Place:
    """Where a server is: its root process and its port."""

    pid: int
    port: int


@dataclass(frozen=True)
class Bout:
    """One load on one server, as it goes into the results."""

    peer: str
    load: str
    layout: tuple[int, int]
    figures: Figures
    machine_load: float

    def fields(self) -> dict[str, Any]:
        """Return what is written to JSON."""
        return asdict(self)


class Visit:
    """A server that runs, and loads put on it."""

    def __init__(self, peer: Peer, layout: tuple[int, int], place: Place, on: Conditions) -> None:
        self.peer, self._layout, self._place, self._on = peer, layout, place, on

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let the server run meanwhile; between two such times it is stopped and costs nothing."""
        send(self._place.pid, signal.SIGCONT)
        time.sleep(_PAUSE_S)
        yield
        if self.peer.stoppable:
            send(self._place.pid, signal.SIGSTOP)

    def warm_up(self, deadline_s: float, seconds: float) -> None:
        """Load the server until it is as fast as it gets; nothing is recorded."""
        requests = self._requests(deadline_s)
        asyncio.run(closed_loop(self._place.port, requests, WARM_UP_CLIENTS, seconds))

    def closed(self, clients: int, seconds: float) -> Bout:
        """Measure a closed loop."""
        requests = self._requests(0.0)
        outcomes = asyncio.run(closed_loop(self._place.port, requests, clients, seconds))
        figures = summarise(outcomes, self._on.deadline_s, seconds)
        return self._bout(f"closed {clients}", figures)

    def open(self, share: float, rate: float, seed: int, seconds: float) -> Bout:
        """Measure an open loop at a rate."""
        requests = self._requests(self._on.deadline_s)
        outcomes = asyncio.run(open_loop(self._place.port, requests, rate, seconds, seed))
        figures = summarise(outcomes, self._on.deadline_s, seconds)
        return self._bout(f"open {100 * share:.0f} %", figures)

    def memory_mib(self) -> float:
        """Weigh the server."""
        return memory_mib(self._place.pid)

    def answers(self) -> list[Fields]:
        """Return the answer to every image, sent one by one.

        Raises:
            RuntimeError: an image was not answered with a verdict.
        """
        return asyncio.run(self._answers())

    async def _answers(self) -> list[Fields]:
        connection, found = Connection(self._place.port), []
        for request in self._requests(0.0):
            answer = await connection.call(request)
            if answer.status != 200:
                raise RuntimeError(f"{self.peer.name} answered {answer.status}: {answer.body!r}")
            found.append(self.peer.read(answer.body))
        connection.close()
        return found

    def _requests(self, deadline_s: float) -> list[bytes]:
        told = self.peer.name == OURS and deadline_s
        query = f"deadline_ms={1000 * deadline_s:.0f}" if told else ""
        return [self.peer.request(image, self._place.port, query) for image in self._on.images]

    def _bout(self, load: str, figures: Figures) -> Bout:
        return Bout(self.peer.name, load, self._layout, figures, os.getloadavg()[0])


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
    port = on.port + PORTS_EACH * PEERS.index(peer)
    environment = {
        "PEER_PORT": str(port),
        "PEER_WORKERS": str(workers),
        "PEER_DEADLINE_S": str(deadline_s),
        "PYTHONPATH": str(ROOT),
        "BENTOML_DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",  # these two: Ray's guide to high throughput
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_worker_niceness": "0",  # 15 by default, which no other server's workers have
    }
    if peer.name == OURS:
        environment |= {"SSVP_PORT": str(port), "SSVP_HOST": "127.0.0.1"}
    else:
        environment |= {"OMP_NUM_THREADS": str(threads)}
    command = [str(peer.python), *peer.command(port)]
    os.sched_setaffinity(0, on.client_cores)
    log = on.logs / f"{peer.name}.log"
    with running(command, environment, on.server_cores, log) as pid:
        wait_until_ready(pid, f"http://127.0.0.1:{port}{peer.health}")
        yield Visit(peer, layout, Place(pid, port), on)


def check(peers: Sequence[Peer], on: Conditions) -> dict[str, float]:
    """End the benchmark unless every peer answers what this service, the first, answers.

    Returns:
        How many MiB each weighs after some seconds of load, alone on the machine.

    Raises:
        SystemExit: one differs; it says where.
    """
    weights, expected = dict[str, float](), list[Fields]()
    for peer in peers:
        with visit(peer, peer.layouts[0], 0.0, on) as server:
            found = server.answers()
            expected = expected or found
            for number, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
                if difference := disagreement(ours, theirs):
                    sys.exit(f"{peer.name}, image {number}: {difference}")
            server.closed(HEAVIEST_CLIENTS, on.warm_up_s)
            weights[peer.name] = server.memory_mib()
        weight = f"{weights[peer.name]:.0f} MiB"
        print(f"{peer.name}: same answers to {len(expected)} images, {weight}", flush=True)
    return weights
