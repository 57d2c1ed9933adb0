"""`ssvp bench`: a simple load on a running service.

Knows callers and the clock; benchmarks/ has the measurements that figures in the documentation rest on.
"""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Annotated, Any, Literal

import typer
from rich import box
from rich.table import Table

from app.client.answers import Timing
from app.client.asynchronous import AsyncSSVPClient
from app.client.calls import DetectOptions
from app.client.errors import SSVPError
from app.commands.connection import Where, connected
from app.commands.pictures import existing_pictures
from app.commands.terminal import (
    ALL_OK,
    ANY_ERROR,
    SERVICE_ERRORS,
    AsJson,
    KeyFile,
    progress_bar,
    write_line,
    write_table,
)
from model.bundle import GOLDEN_FILE, SHIPPED
from model.commands.complaints import one_line_errors

_STAGES = tuple(Timing.model_fields)
_SHIPPED_PICTURE = SHIPPED / "ssvp-nano" / GOLDEN_FILE


def bench(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures that are sent, in turn. (default: a drawn one, 256 px)"),
    ] = None,
    url: Annotated[str, typer.Option(help="URL of the service.")] = "http://localhost:8080",
    api_key_file: KeyFile = None,
    callers: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Callers at the same time, each waiting for its answer."
        ),
    ] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="Duration in seconds.")] = 10.0,
    product: Annotated[str | None, typer.Option(help="Spoken product name.")] = None,
    heatmap: Annotated[
        Literal["overlay", "map", "mask", "none"], typer.Option(help="Kind of heat map to draw.")
    ] = "none",
    as_json: AsJson = False,
) -> None:
    """Load a running service and measure: images a second, time to the answer, errors.

    Example: ssvp bench parts/*.png --url http://line3:8080 --callers 4 --seconds 30

    Nothing is repeated: an error counts as one. Exit code 2 if there was any.
    """
    with one_line_errors(*SERVICE_ERRORS):
        bodies = _bodies(images)
        options: DetectOptions = {"product": product, "heatmap": heatmap}
        where = Where(url, api_key_file, connections=callers)
        found = asyncio.run(_measure(where, bodies, options, callers, seconds))
    if as_json:
        typer.echo(json.dumps(found.figures()))
    else:
        _show(found, url, callers)
    raise typer.Exit(code=ANY_ERROR if found.errors or not found.waits_s else ALL_OK)


def _bodies(images: list[str] | None) -> list[bytes]:
    if not images:
        return [_SHIPPED_PICTURE.read_bytes()]
    return [path.read_bytes() for path in existing_pictures(images)]


@dataclass
class _Found:
    """What was counted.

    Attributes:
        waits_s: from call to verdict, of each that came.
        errors: how often each code.
        stages_ms: sums over all verdicts, as the service told them.
        summed_batch_sizes: sum over all verdicts.
        seconds: how long it took.
    """

    waits_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    stages_ms: Counter[str] = field(default_factory=Counter)
    summed_batch_sizes: int = 0
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """Return the figures; times in milliseconds, None where there was no verdict."""
        count = len(self.waits_s)
        return {
            "images": count,
            "seconds": round(self.seconds, 3),
            "images_per_s": round(count / self.seconds, 2) if self.seconds else 0.0,
            "p50_ms": percentile_ms(self.waits_s, 0.5),
            "p95_ms": percentile_ms(self.waits_s, 0.95),
            "p99_ms": percentile_ms(self.waits_s, 0.99),
            "max_ms": percentile_ms(self.waits_s, 1.0),
            "service_ms": {s: round(self.stages_ms[s] / count, 1) for s in _STAGES if count},
            "mean_batch": round(self.summed_batch_sizes / count, 2) if count else None,
            "verdicts": dict(self.verdicts),
            "errors": dict(self.errors),
        }


def percentile_ms(waits_s: Sequence[float], share: float) -> float | None:
    """Return the time within which this share of answers came: of n values the ceil(share n)-th."""
    if not waits_s:
        return None
    rank = max(1, math.ceil(share * len(waits_s)))
    return round(1000 * sorted(waits_s)[rank - 1], 1)


async def _measure(
    where: Where, bodies: list[bytes], options: DetectOptions, callers: int, seconds: float
) -> _Found:
    found = _Found()
    async with connected(where, retries=0) as client:
        began = time.perf_counter()
        end = began + seconds
        with progress_bar(f"{callers} callers", seconds) as advance:
            async with asyncio.TaskGroup() as group:
                group.create_task(_tick(seconds, advance))
                for number in range(callers):
                    turn = islice(cycle(bodies), number, None)
                    group.create_task(_call(client, turn, options, end, found))
        found.seconds = time.perf_counter() - began
    return found


async def _tick(seconds: float, advance: Any) -> None:
    for _ in range(math.floor(seconds)):
        await asyncio.sleep(1)
        advance(1)


async def _call(
    client: AsyncSSVPClient, bodies: Any, options: DetectOptions, end: float, found: _Found
) -> None:
    for body in bodies:
        began = time.perf_counter()
        if began >= end:
            return
        try:
            answer = await client.detect(body, **options)
        except SSVPError as error:
            found.errors[error.code] += 1
            await asyncio.sleep(min(error.retry_after_s or 0.01, max(0.0, end - began)))
            continue
        found.waits_s.append(time.perf_counter() - began)
        found.verdicts[answer.result] += 1
        found.summed_batch_sizes += answer.batch_size
        found.stages_ms.update(answer.timing_ms.model_dump())


def _show(found: _Found, url: str, callers: int) -> None:
    figures = found.figures()
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("images a second", f"{figures['images_per_s']:g}")
    times = ", ".join(
        f"{name} {figures[f'{name}_ms']}" for name in ("p50", "p95", "p99", "max") if found.waits_s
    )
    table.add_row("ms to the answer", times)
    stages = ", ".join(f"{name} {value:g}" for name, value in figures["service_ms"].items())
    table.add_row("ms in the service, mean", stages)
    mean_batch = figures["mean_batch"]
    table.add_row("images a batch, mean", "" if mean_batch is None else f"{mean_batch:g}")
    table.add_row("verdicts", _counts(found.verdicts))
    table.add_row("errors", _counts(found.errors) or "none", style="red" if found.errors else "")
    write_line(
        f"{figures['images']} images in {figures['seconds']:.1f} s by {callers} callers on {url}"
    )
    write_table(table)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())
