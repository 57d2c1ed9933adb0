"""This service side by side with what a user would pick instead; see docs/benchmarks.md.

    .venv/bin/python -m benchmarks.serving.run --install
    .venv/bin/python -m benchmarks.serving.run --tune
    .venv/bin/python -m benchmarks.serving.run --rounds 3 --out benchmarks/serving/results/NAME.json

Linux, four cores or more: servers run on --server-cores, the load on --client-cores. Every round visits every
server in turn, so that a machine's drift touches all alike; quote the ratios within rounds. Open loops have one
rate for all servers: a share of what this service reached in a closed loop of 32 clients in the same round.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.serving.bout import Bout, Conditions, check, visit
from benchmarks.serving.install import install, versions
from benchmarks.serving.peers import OURS, PEERS, ROOT, Peer

CLIENTS = (1, 8, 32)
SHARES = (0.5, 0.8, 1.2)
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})


def _images(folder: Path, most: int) -> list[bytes]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not files:
        sys.exit(f"{folder}: no images")
    step = max(1, len(files) // most)  # from all over the folder
    return [path.read_bytes() for path in files[::step][:most]]


def _tune(peers: Sequence[Peer], on: Conditions) -> list[Bout]:
    """Measure every layout of every server at 8 and 32 clients."""
    bouts = []
    for peer in peers:
        for layout in peer.layouts:
            with visit(peer, layout, 0.0, on) as server:
                server.warm_up(0.0)
                bouts += [_told(server.closed(clients)) for clients in (8, 32)]
    return bouts


def _round(peers: Sequence[Peer], number: int, on: Conditions) -> list[Bout]:
    """Visit every server twice: with patient callers in closed loops, with its time-out set in open ones.

    The first server's throughput in the last closed loop is the round's 100 %.
    """
    bouts: list[Bout] = []
    capacity = 0.0
    for peer in peers:
        layout = peer.layouts[0]
        with visit(peer, layout, 0.0, on) as server:
            server.warm_up(0.0)
            bouts += [_told(server.closed(clients)) for clients in CLIENTS]
        capacity = capacity or bouts[-1].figures.throughput
        with visit(peer, layout, on.deadline_s, on) as server:
            server.warm_up(on.deadline_s)
            bouts += [_told(server.open(share, share * capacity, seed=number)) for share in SHARES]
    return bouts


def _told(bout: Bout) -> Bout:
    f = bout.figures
    print(
        f"{bout.peer:9} {bout.layout[0]} x {bout.layout[1]}  {bout.load:10}"
        f" {f.throughput:6.1f} /s   p50 {f.p50_ms:7.1f} ms   p99 {f.p99_ms:7.1f} ms"
        f"   in time {100 * f.in_time:5.1f} %   {bout.pss_mib:6.0f} MiB   {f.refused or ''}"
        f"   machine load {bout.machine_load:.1f}",
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
    parser.add_argument("--seconds", type=float, default=12.0, help="of each load")
    parser.add_argument("--warm-up-seconds", type=float, default=5.0)
    parser.add_argument("--deadline-seconds", type=float, default=1.0)
    parser.add_argument("--server-cores", default="2,3")
    parser.add_argument("--client-cores", default="0,1")
    parser.add_argument("--port", type=int, default=8150)
    parser.add_argument("--out", type=Path, help="JSON to write")
    return parser.parse_args()


def main() -> None:
    """Do what the options say."""
    options = _options()
    if options.install:
        install()
        return
    logs = ROOT / "build" / "peers-logs"
    logs.mkdir(parents=True, exist_ok=True)
    on = Conditions(
        _images(options.images, options.most_images),
        {int(core) for core in options.server_cores.split(",")},
        {int(core) for core in options.client_cores.split(",")},
        options.port,
        options.seconds,
        options.warm_up_seconds,
        options.deadline_seconds,
        logs,
    )
    peers = [peer for peer in PEERS if peer.name in options.peers]
    if options.tune:
        bouts = [_tune(peers, on)]
    else:
        ours = next(peer for peer in PEERS if peer.name == OURS)
        with visit(ours, ours.layouts[0], 0.0, on) as server:
            expected = server.answers()
        check([peer for peer in peers if peer.name != OURS], expected, on)
        if options.check:
            return
        bouts = [_round(peers, number, on) for number in range(options.rounds)]
    if options.out:
        _write(options.out, bouts, peers, on)


def _write(
    path: Path, rounds: Sequence[Sequence[Bout]], peers: Sequence[Peer], on: Conditions
) -> None:
    found = {
        "machine": _machine(peers),
        "images": len(on.images),
        "image_bytes": round(sum(map(len, on.images)) / len(on.images)),
        "seconds": on.seconds,
        "deadline_s": on.deadline_s,
        "rounds": [[bout.fields() for bout in bouts] for bouts in rounds],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
