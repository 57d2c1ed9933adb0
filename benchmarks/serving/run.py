"""This service side by side with what a user would pick instead; see docs/benchmarks.md.

    .venv/bin/python -m benchmarks.serving.run --install
    .venv/bin/python -m benchmarks.serving.run --tune
    .venv/bin/python -m benchmarks.serving.run --rounds 3 --out benchmarks/serving/results/NAME.json

Linux, two cores or more: servers run on --server-cores, the load on --client-cores, which are two of their own
where there are four; on fewer the load shares the servers' two and takes a fortieth of them. All servers are
started, then each load is put on one after the other while the others are stopped (SIGSTOP), so that a drift of
the machine touches all alike; quote ratios within rounds. Open loops have one rate for all servers: a share of
what this service reached just before in a closed loop of 32 clients.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.serving.bout import Bout, Conditions, Visit, check, visit
from benchmarks.serving.install import install, versions
from benchmarks.serving.peers import PEERS, ROOT, Peer

CLIENTS = (1, 8, 32)
SHARES = (0.5, 0.8, 1.2)
_AGAIN_S, _CAPACITY_S = 1.0, 5.0
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})


def _images(folder: Path, most: int) -> list[bytes]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not files:
        sys.exit(f"{folder}: no images")
    step = max(1, len(files) // most)  # from all over the folder
    return [path.read_bytes() for path in files[::step][:most]]


def _tune(peers: Sequence[Peer], seconds: float, on: Conditions) -> list[Bout]:
    """Measure every layout of every server at 8 and 32 clients."""
    bouts = []
    for peer in peers:
        for layout in peer.layouts:
            with visit(peer, layout, 0.0, on) as server:
                server.warm_up(0.0, on.warm_up_s)
                bouts += [_told(server.closed(clients, seconds)) for clients in (8, 32)]
    return bouts


@contextmanager
def _all(peers: Sequence[Peer], deadline_s: float, on: Conditions) -> Iterator[list[Visit]]:
    """Start all servers and warm them up; each is stopped but when it is its turn."""
    with ExitStack() as stack:
        servers = []
        for peer in peers:
            servers.append(stack.enter_context(visit(peer, peer.layouts[0], deadline_s, on)))
            with servers[-1].awake():
                servers[-1].warm_up(deadline_s, on.warm_up_s)
        yield servers


def _in_turn(servers: Sequence[Visit], measure: Callable[[Visit], Bout]) -> list[Bout]:
    """Put one load on every server in turn, each after a second of it that is not recorded."""
    bouts = []
    for server in servers:
        with server.awake():
            server.warm_up(0.0, _AGAIN_S)
            bouts.append(_told(measure(server)))
    return bouts


def _closed(servers: Sequence[Visit], seconds: float) -> list[Bout]:
    return [
        bout
        for clients in CLIENTS
        for bout in _in_turn(servers, lambda s, n=clients: s.closed(n, seconds))  # type: ignore[misc]
    ]


def _rotated(servers: Sequence[Visit], number: int) -> list[Visit]:
    """Let another server begin each round: what comes just before leaves its traces in caches and clocks."""
    first = number % len(servers)
    return [*servers[first:], *servers[:first]]


def _open(servers: Sequence[Visit], number: int, seconds: float) -> list[Bout]:
    """Put every rate on every server; 100 % is what the first of them reaches just before."""
    bouts = []
    for share in SHARES:
        with servers[0].awake():
            servers[0].warm_up(0.0, _AGAIN_S)
            capacity = servers[0].closed(CLIENTS[-1], _CAPACITY_S).figures.throughput
        print(f"100 % is {capacity:.1f} images a second", flush=True)
        rate = share * capacity
        bouts += _in_turn(
            _rotated(servers, number),
            lambda s, share=share, rate=rate: s.open(share, rate, number, seconds),  # type: ignore[misc]
        )
    return bouts


def _told(bout: Bout) -> Bout:
    f = bout.figures
    print(
        f"{bout.peer:9} {bout.layout[0]} x {bout.layout[1]}  {bout.load:10}"
        f" {f.throughput:6.1f} /s   p50 {f.p50_ms:7.1f} ms   p99 {f.p99_ms:7.1f} ms"
        f"   in time {100 * f.in_time:5.1f} %   {f.refused or ''}   machine load {bout.machine_load:.1f}",
        flush=True,
    )
    return bout


def _machine(peers: Sequence[Peer]) -> dict[str, Any]:
    model = next(
        line.split(": ")[1]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "versions": {peer.name: versions(peer) for peer in peers},
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--install", action="store_true", help="make the peers' environments")
    parser.add_argument("--check", action="store_true", help="only compare answers")
    parser.add_argument("--tune", action="store_true", help="only measure the layouts")
    parser.add_argument("--peers", nargs="+", default=[p.name for p in PEERS])
    parser.add_argument("--images", type=Path, default=ROOT / "docs" / "samples")
    parser.add_argument("--most-images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each closed loop")
    parser.add_argument("--open-seconds", type=float, default=10.0, help="of each open loop")
    parser.add_argument("--warm-up-seconds", type=float, default=5.0)
    parser.add_argument("--deadline-seconds", type=float, default=1.0)
    shared = len(os.sched_getaffinity(0)) < 4
    parser.add_argument("--server-cores", default="0,1" if shared else "2,3")
    parser.add_argument("--client-cores", default="0,1")
    parser.add_argument("--port", type=int, default=8150)
    parser.add_argument("--out", type=Path, help="JSON to write")
    return parser.parse_args()


def _conditions(options: argparse.Namespace) -> Conditions:
    logs = ROOT / "build" / "peers-logs"
    logs.mkdir(parents=True, exist_ok=True)
    return Conditions(
        images=_images(options.images, options.most_images),
        server_cores={int(core) for core in options.server_cores.split(",")},
        client_cores={int(core) for core in options.client_cores.split(",")},
        port=options.port,
        warm_up_s=options.warm_up_seconds,
        deadline_s=options.deadline_seconds,
        logs=logs,
    )


def _described(
    peers: Sequence[Peer], options: argparse.Namespace, on: Conditions
) -> dict[str, Any]:
    """Say what was measured on what, for the results."""
    return {
        "machine": _machine(peers),
        "images": len(on.images),
        "image_bytes": round(sum(map(len, on.images)) / len(on.images)),
        "seconds": options.seconds,
        "open_seconds": options.open_seconds,
        "deadline_s": on.deadline_s,
    }


def main() -> None:
    """Do what the options say."""
    options = _options()
    if options.install:
        install()
        return
    on = _conditions(options)
    peers = [peer for peer in PEERS if peer.name in options.peers]
    if options.tune:
        _tune(peers, options.seconds, on)
        return
    weights = check(peers, on)
    if options.check:
        return
    with _all(peers, 0.0, on) as servers:
        closed = [_closed(_rotated(servers, n), options.seconds) for n in range(options.rounds)]
    with _all(peers, on.deadline_s, on) as servers:
        opened = [_open(servers, n, options.open_seconds) for n in range(options.rounds)]
    rounds = [[*c, *o] for c, o in zip(closed, opened, strict=True)]
    if options.out:
        found = {
            **_described(peers, options, on),
            "memory": {name: {"pss_mib": weight} for name, weight in weights.items()},
            "rounds": [[bout.fields() for bout in bouts] for bouts in rounds],
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
