"""`ssvp detect`: inspect files, here or on a service.

Knows the command's words and how verdicts are shown; how they are reached is the service's matter.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from app.client.calls import DetectOptions
from app.commands.connection import Where, connected
from app.commands.inspections import Inspected, inspect_all, missing
from app.commands.pictures import drawn_names, find_pictures
from app.commands.terminal import (
    ALL_OK,
    ANY_ERROR,
    ANY_NG,
    SERVICE_ERRORS,
    AsJson,
    BundleName,
    DeviceName,
    KeyFile,
    ProductsFile,
    RoiText,
    Url,
    progress_bar,
    write_line,
    write_table,
)
from model.commands.complaints import complain, one_line_errors

Callers = Annotated[int, typer.Option(min=1, max=64, help="Images asked for at the same time.")]
_STYLES = {"OK": "green", "NG": "bold red", "ERROR": "bold yellow"}


def detect(
    images: Annotated[
        list[str],
        typer.Argument(help="Files, folders (and all below them), patterns like 'line3/**/*.png'."),
    ],
    product: Annotated[
        str | None, typer.Option(help="Spoken product name, for instance 'metal nut'.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Decide NG from this score on.")
    ] = None,
    roi: RoiText = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder to write heat maps to.")
    ] = None,
    heatmap: Annotated[
        Literal["overlay", "map", "mask"],
        typer.Option(help="Kind of heat map to write with --out."),
    ] = "overlay",
    as_json: AsJson = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    bundle: BundleName = None,
    device: DeviceName = None,
    products_file: ProductsFile = None,
    callers: Callers = 8,
) -> None:
    """Inspect images: exit code 0 if all are OK, 1 if any is NG, 2 if any has no verdict.

    Example: ssvp detect docs/samples --product leather --out heatmaps

    Loads the bundle and inspects here, as the service would, or asks a running service: --url http://line3:8080.
    With --json one object a line is written, in the images' order.
    """
    where = Where(url, api_key_file, bundle, device, products_file)
    if products_file is not None and not products_file.exists():
        raise typer.BadParameter(f"there is no file {products_file}")
    found = find_pictures(images)
    kind: Literal["overlay", "map", "mask", "none"] = "none" if out is None else heatmap
    options: DetectOptions = {
        "product": product,
        "threshold": threshold,
        "roi": roi,
        "heatmap": kind,
    }
    drawn = (
        {}
        if out is None
        else {p: out / n for p, n in drawn_names(found.files, f".{kind}.png").items()}
    )
    results = _Results(drawn, as_json)
    with one_line_errors(*SERVICE_ERRORS):
        if len(found.missing) == len(found.files):  # nothing to load a model for
            for file in found.files:
                results.take(missing(file))
        else:
            asyncio.run(_inspect(where, found.files, options, callers, results))
    if not as_json:
        results.show()
    raise typer.Exit(code=results.exit_code)


async def _inspect(
    where: Where, files: list[Path], options: DetectOptions, callers: int, results: "_Results"
) -> None:
    async with connected(where) as client:
        results.started_at = time.perf_counter()
        with progress_bar("inspect", len(files)) as advance:
            async for result in inspect_all(client, files, options, callers):
                results.take(result)
                advance(1)
    results.ended_at = time.perf_counter()


@dataclass
class _Results:
    """What came of the pictures.

    Attributes:
        drawn: where each file's heat map goes.
        as_json: write each result at once.
        taken: all results, without their heat maps.
        started_at, ended_at: of the inspections, without loading.
    """

    drawn: dict[Path, Path]
    as_json: bool
    taken: list[Inspected] = field(default_factory=list)
    started_at: float = 0.0
    ended_at: float = 0.0

    def take(self, result: Inspected) -> None:
        """Write the heat map, and the line where lines are wanted."""
        written = None
        if result.inspection is not None and result.inspection.heatmap is not None:
            written = self.drawn[result.file]
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(result.inspection.heatmap.data)
            light = result.inspection.model_copy(update={"heatmap": None})
            result = replace(result, inspection=light)
        if self.as_json:
            typer.echo(json.dumps(result.row(written), ensure_ascii=False))
        self.taken.append(result)

    @property
    def exit_code(self) -> int:
        """2 where a verdict is missing, else 1 where one is NG."""
        if any(result.inspection is None for result in self.taken):
            return ANY_ERROR
        return ALL_OK if all(r.inspection and r.inspection.ok for r in self.taken) else ANY_NG

    def show(self) -> None:
        """Show all verdicts, where the heat maps are, and how many there are of each."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("file", overflow="fold")
        table.add_column("result", no_wrap=True)
        table.add_column("score", justify="right")
        table.add_column("threshold", no_wrap=True)
        table.add_column("regions", justify="right", no_wrap=True)
        table.add_column("ms", justify="right", no_wrap=True)
        for result in self.taken:
            table.add_row(*_cells(result))
        write_table(table)
        for result in self.taken:
            if result.failure is not None:
                complain(f"{result.name}: {result.failure.message}")
        for warning in dict.fromkeys(
            text for r in self.taken if r.inspection is not None for text in r.inspection.warnings
        ):
            complain(warning, "warning")
        if self.drawn:
            write_line(f"heat maps: {os.path.commonpath(self.drawn.values())}")
        write_line(self._summary())

    def _summary(self) -> str:
        verdicts = [r.inspection.result for r in self.taken if r.inspection is not None]
        errors = len(self.taken) - len(verdicts)
        counts = f"{verdicts.count('OK')} OK, {verdicts.count('NG')} NG"
        text = counts if not errors else f"{counts}, {errors} without verdict"
        seconds = self.ended_at - self.started_at
        return f"{text} in {seconds:.1f} s" if seconds > 0 else text


def _cells(result: Inspected) -> list[str | Text]:
    found = result.inspection
    if found is None:
        code = "" if result.failure is None else result.failure.code
        return [Text(result.name), Text("ERROR", _STYLES["ERROR"]), "", code]
    source = found.threshold_source
    if found.profile_version is not None:
        source = f"profile {found.profile_version}"
    return [
        Text(result.name),  # no markup: brackets are letters
        Text(found.result, _STYLES[found.result]),
        f"{found.score:.4f}",
        f"{found.threshold:.4f} {source}",
        str(len(found.regions)),
        f"{found.timing_ms.total:.0f}",
    ]
