"""Minutes at saturation, or beyond it: no answer lost or swapped, memory flat, refusals fast.

    SSVP_PORT=8080 .venv/bin/ssvp serve &
    .venv/bin/python -m benchmarks.soak --minutes 5 --callers 16
    .venv/bin/python -m benchmarks.soak --minutes 0.5 --callers 300

Each caller sends one of a few pictures whose scores were measured one at a time beforehand; every answer must
carry its caller's own part_id, sequence and score. More callers than the queue holds is an overload.
Hundreds of them in this one process are slow themselves, so the times of both sides are printed.
"""

import argparse
import asyncio
import io
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import numpy as np
from PIL import Image

PICTURES = 24
SAME_SCORE = 2e-4  # answers are rounded to four decimals
WARM_UP_SHARE = 0.2


@dataclass
class Tally:
    """What the callers saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    served_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    inside_ms: dict[str, list[float]] = field(default_factory=lambda: {"served": [], "refused": []})
    memory_bytes: list[float] = field(default_factory=list)


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(5)
    written = []
    for number in range(PICTURES):
        base = rng.normal(128, 8, (256, 256, 3))
        side = 4 * number
        base[100 : 100 + side, 80 : 80 + side] += 90
        buffer = io.BytesIO()
        Image.fromarray(np.clip(base, 0, 255).astype(np.uint8)).save(
            buffer, "PNG", compress_level=1
        )
        written.append(buffer.getvalue())
    return written


async def _caller(
    client: httpx.AsyncClient,
    pictures: list[bytes],
    expected: list[float],
    tally: Tally,
    numbers: "itertools.count[int]",
    end: float,
) -> None:
    while time.perf_counter() < end:
        number = next(numbers)
        which = number % len(pictures)
        query: dict[str, str | int] = {"part_id": f"part {number}", "sequence": number}
        began = time.perf_counter()
        answer = await client.post("/v1/detect", params=query, content=pictures[which])
        took_ms = 1e3 * (time.perf_counter() - began)
        found = answer.json()
        inside_ms = float(answer.headers["server-timing"].rsplit("total;dur=", 1)[1])
        tally.inside_ms["served" if answer.status_code == 200 else "refused"].append(inside_ms)
        if answer.status_code != 200:
            tally.statuses[found["code"]] += 1
            tally.refused_ms.append(took_ms)
            await asyncio.sleep(0.05)  # less patient than Retry-After asks for
            continue
        tally.statuses["answered"] += 1
        tally.served_ms.append(took_ms)
        own = (found["part_id"], found["sequence"]) == (f"part {number}", number)
        if not own or abs(found["score"] - expected[which]) > SAME_SCORE:
            tally.wrong.append(
                f"part {number}: {found['part_id']} {found['score']}, {expected[which]}"
            )


async def _watch(client: httpx.AsyncClient, tally: Tally, end: float) -> None:
    while time.perf_counter() < end:
        text = (await client.get("/metrics")).text
        line = next(t for t in text.splitlines() if t.startswith("process_resident_memory_bytes"))
        tally.memory_bytes.append(float(line.split()[1]))
        await asyncio.sleep(2)


async def soak(url: str, minutes: float, callers: int) -> Tally:
    """Run the callers and return what they saw."""
    pictures, tally = _pictures(), Tally()
    limits = httpx.Limits(max_connections=callers + 1, max_keepalive_connections=callers + 1)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        expected = []
        for picture in pictures:
            answer = await client.post("/v1/detect", content=picture)
            expected.append(answer.raise_for_status().json()["score"])
        end = time.perf_counter() + 60 * minutes
        numbers = itertools.count()
        async with asyncio.TaskGroup() as group:
            group.create_task(_watch(client, tally, end))
            for _ in range(callers):
                group.create_task(_caller(client, pictures, expected, tally, numbers, end))
    return tally


def _quantiles(values: list[float]) -> str:
    if not values:
        return "-"
    median, late, longest = np.percentile(values, (50, 99, 100), method="inverted_cdf")
    return f"median {median:.0f} ms, 99 % {late:.0f} ms, longest {longest:.0f} ms"


def main() -> None:
    """Soak and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--callers", type=int, default=16)
    options = parser.parse_args()
    tally = asyncio.run(soak(options.url, options.minutes, options.callers))
    print(
        dict(tally.statuses), f"{tally.statuses['answered'] / (60 * options.minutes):.1f} images/s"
    )
    for name, seen in (("served", tally.served_ms), ("refused", tally.refused_ms)):
        print(f"{name}, as the caller saw it:  {_quantiles(seen)}")
        print(f"{name}, as the service did it: {_quantiles(tally.inside_ms[name])}")
    warm = tally.memory_bytes[int(WARM_UP_SHARE * len(tally.memory_bytes)) :]
    growth = 100 * (warm[-1] / warm[0] - 1)
    print(
        f"memory: {warm[0] / 2**20:.0f} MiB after warm-up, {warm[-1] / 2**20:.0f} at the end ({growth:+.1f} %)"
    )
    print("wrong answers:", len(tally.wrong), *tally.wrong[:10])


if __name__ == "__main__":
    main()
