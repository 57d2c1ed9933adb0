"""`ssvp evaluate`: measure a bundle.

Knows the command's options; `app.commands.evaluation` measures.
"""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.terminal import SERVICE_ERRORS
from model.commands.complaints import one_line_errors
from model.data.row import PROCEDURAL, DataLayoutError


def evaluate(
    bundle: Annotated[
        str,
        typer.Argument(help="Bundle folder, name of a shipped one, or mahalanobis: the baseline."),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Manifest of `ssvp data prepare`, folder in MVTec-AD's layout, or 'procedural', the held-out"
            " families."
        ),
    ] = PROCEDURAL,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for report.json, report.md and pictures.html."),
    ] = None,
    product: Annotated[
        str | None, typer.Option(help="Product name to use instead of each category's.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Procedural pairs per family.")] = 200,
    pictures: Annotated[
        int, typer.Option(min=0, help="Pictures per category in the report; 0: none.")
    ] = 6,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:0.")] = "auto",
) -> None:
    """Measure a bundle on images it was not trained on.

    Example: ssvp evaluate ssvp-nano --data mvtec.jsonl --out runs/evaluate
    """
    from app.commands.evaluation import evaluate_bundle

    with one_line_errors(*SERVICE_ERRORS, DataLayoutError):
        evaluate_bundle(
            bundle,
            data,
            product=product,
            pairs=pairs,
            device=device,
            out=out,
            pictures=pictures,
        )
