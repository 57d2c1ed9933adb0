"""`ssvp calibrate`: learn a product's threshold from pictures of good parts, here or on a service.

Knows the command's words; scores are `/v1/detect`'s, and what is learnt from them is the service's matter.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from app.client.answers import Calibration, GoodScore, Inspection
from app.client.calls import DetectOptions
from app.commands.connection import Where, connected
from app.commands.histogram import histogram
from app.commands.inspections import inspect_all
from app.commands.pictures import existing_pictures
from app.commands.terminal import (
    ANY_ERROR,
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
)
from model.commands.complaints import complain, one_line_errors

_CALLERS = 2  # a line that is running waits for two pictures at most
_LONGEST_NAME = 256


def calibrate(
    images: Annotated[list[str], typer.Argument(help="Good parts: files, folders, patterns.")],
    product: Annotated[str, typer.Option(help="Spoken product name, for instance 'metal nut'.")],
    false_reject: Annotated[
        float, typer.Option(help="Most good parts that may be rejected, as a share.")
    ] = 0.005,
    roi: RoiText = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, but save nothing.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write a whole products file with the new profile here."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key_file: KeyFile = None,
    bundle: BundleName = None,
    device: DeviceName = None,
    products_file: ProductsFile = None,
) -> None:
    """Learn a product's threshold from pictures of good parts alone.

    Example: ssvp calibrate good/*.png --product "metal nut" --products-file products.json

    The profile is saved if the service (--url) or the products file allows it. The exit code is 2 if it is
    neither saved nor written to --out, except with --dry-run.
    """
    where = Where(url, api_key_file, bundle, device, products_file)
    files = _good_parts(images, product, false_reject)
    options: DetectOptions = {"product": product, "roi": roi, "heatmap": "none"}
    with one_line_errors(*SERVICE_ERRORS):
        made = asyncio.run(_calibrate(where, files, product, options, false_reject, dry_run))
        if out is not None:
            out.write_text(made.text, encoding="utf-8")
    if as_json:
        typer.echo(made.model_dump_json())
    else:
        _show(made, out)
    if not made.saved and not dry_run and out is None:
        complain(f"the profile is not saved: {made.reason}")
        raise typer.Exit(code=ANY_ERROR)


def _good_parts(images: list[str], product: str, false_reject: float) -> list[Path]:
    """Find the pictures; what can be refused is refused before any is inspected."""
    from app.products.conformal import needed
    from app.products.profile import check_calibrated_name

    try:
        check_calibrated_name(product)
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(code=ANY_ERROR) from None
    if not 0 < false_reject < 1:
        raise typer.BadParameter("--false-reject is a share: more than 0, less than 1")
    files, least = existing_pictures(images), needed(false_reject)
    if len(files) < least:
        given = f"{len(files)} good parts were given"
        complain(f"{given}, a false-reject rate of {false_reject:g} needs {least} or more")
        raise typer.Exit(code=ANY_ERROR)
    return files


async def _calibrate(
    where: Where,
    files: list[Path],
    product: str,
    options: DetectOptions,
    false_reject: float,
    dry_run: bool,
) -> Calibration:
    async with connected(where) as client:
        scores, digests = [], set()
        with progress_bar("score good parts", len(files)) as advance:
            async for result in inspect_all(client, files, options, _CALLERS):
                if result.inspection is None:
                    complain(f"{result.name}: {result.failure and result.failure.message}")
                    raise typer.Exit(code=ANY_ERROR)
                scores.append(_score(result.name, result.inspection))
                digests.add(result.inspection.model.digest)
                advance(1)
        digest = digests.pop()
        if digests:  # the service compares one digest alone with its bundle's
            complain("the service has changed its bundle meanwhile; calibrate again")
            raise typer.Exit(code=ANY_ERROR)
        return await client.calibrate(
            product,
            scores=scores,
            digest=digest,
            false_reject=false_reject,
            dry_run=dry_run,
            roi=options.get("roi"),
        )


def _score(name: str, found: Inspection) -> GoodScore:
    return GoodScore(name=name[-_LONGEST_NAME:], score=found.score)


def _show(made: Calibration, out: Path | None) -> None:
    profile = made.profile
    write_line("")
    for line in histogram([score.score for score in made.scores], profile.threshold):
        write_line(line)
    low, high = (100 * end for end in profile.interval)
    write_line(f"\n{profile.product}: NG from a score of {profile.threshold:.4f} on", "bold")
    write_line(
        f"learnt from {profile.n} good parts for a false-reject rate of {100 * profile.false_reject:g} %; "
        f"the real rate lies between {low:.2g} and {high:.2g} % (95 %)"
    )
    for name in made.stands_out:
        score = next(s.score for s in made.scores if s.name == name)
        write_line(f"stands out: {name} with {score:.4f}", "yellow")
    for warning in profile.warnings:
        write_line(f"warning: {warning}", "yellow")
    if made.saved:
        write_line(f"saved as version {profile.version}", "green")
    if out is not None:
        write_line(f"written to {out}", "green")
