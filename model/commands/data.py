"""Write manifests of data sets, and look at the images that models are made from.

Knows the commands' options and the table of counts; `model.data` reads, draws and writes.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from model.commands.complaints import complain, one_line_errors
from model.commands.options import Seed, Split, progress_bar

if TYPE_CHECKING:
    from model.data.row import ManifestRow

data_cli = typer.Typer(
    no_args_is_help=True,
    help="Write manifests of data sets; look at the images that models are made from.",
)

_Side = Annotated[int, typer.Option(min=16, help="Side of each image in px.")]


@data_cli.command()
def prepare(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="mvtec, visa, btad, ksdd2, rsdd, dagm, dtd; folder: your own images.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where its files are.")],
    out: Annotated[Path, typer.Option(help="Manifest to write; .jsonl.")],
    split: Annotated[Split, typer.Option(help="test, train or all.")] = "all",
    product: Annotated[
        str | None, typer.Option(help="Spoken product name for a folder of your own.")
    ] = None,
) -> None:
    """Write the manifest of a data set: its images, masks, labels and names.

    Example: ssvp data prepare visa path/to/VisA --out visa.jsonl
    """
    from model.data.manifest import write_manifest_rows
    from model.data.row import DataLayoutError
    from model.data.sets import SETS

    if name not in SETS:
        raise typer.BadParameter(f"unknown set {name!r}; known: {', '.join(SETS)}")
    if out.suffix != ".jsonl":
        raise typer.BadParameter(f"{out} does not end in .jsonl")
    if product is not None and name != "folder":
        raise typer.BadParameter(f"--product is for a folder of your own; {name} has names")
    with one_line_errors(DataLayoutError, OSError):
        found = SETS[name].prepare(folder)
        rows = [row for row in found if split in (row.split, "all")]
        if not rows:
            raise DataLayoutError(f"{folder} has no images of split {split}")
        if product is not None:
            rows = [replace(row, product=product) for row in rows]
        write_manifest_rows(rows, out)
    Console().print(_table(rows))
    complaint = SETS[name].complaint(found)
    if complaint is not None and split != "train":
        complain(complaint, "warning")
    without = sum(not row.has_pixel_truth for row in rows)
    if without:
        text = f"{without} anomalous images have no mask; they count for image-level figures only"
        complain(text, "warning")


@data_cli.command()
def sheet(
    out: Annotated[Path, typer.Argument(help="Image file to write; .jpg or .png.")],
    defects: Annotated[
        bool, typer.Option("--defects", help="One strip per kind of defect instead of per family.")
    ] = False,
    size: _Side = 128,
    columns: Annotated[int, typer.Option(min=1, help="Strips side by side.")] = 4,
    seed: Seed = 1,
) -> None:
    """Draw a contact sheet of the procedural images: normal, defective, mask.

    Example: ssvp data sheet families.jpg
    """
    from PIL import Image

    from model.data.procedural.sheet import contact_sheet, defect_sheet

    if out.suffix not in (".jpg", ".png"):
        raise typer.BadParameter(f"{out} ends neither in .jpg nor in .png")
    draw = defect_sheet if defects else contact_sheet
    with one_line_errors(OSError):
        Image.fromarray(draw(seed, size, columns)).save(out, quality=88)


@data_cli.command()
def twins(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    family: Annotated[str, typer.Option(help="Name of a family.")] = "leather",
    size: _Side = 512,
    seed: Seed = 1,
) -> None:
    """Draw one pair: FAMILY-good.png, and its twin with a defect, FAMILY-DEFECT.png.

    Example: ssvp data twins samples --family gear
    """
    from PIL import Image

    from model.data.procedural import DEFECTS, FAMILIES, generate_pair

    if family not in FAMILIES:
        raise typer.BadParameter(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
    pair = generate_pair(seed, size, [family], tuple(DEFECTS))
    defect = str(pair.anomalous.defect).replace(" ", "-")
    with one_line_errors(OSError):
        out.mkdir(parents=True, exist_ok=True)
        for sample, state in ((pair.normal, "good"), (pair.anomalous, defect)):
            Image.fromarray(sample.image).save(out / f"{family}-{state}.png", optimize=True)


def _table(rows: "Sequence[ManifestRow]") -> Table:
    from model.data.sets import count

    splits = sorted({row.split for row in rows}, reverse=True)
    table = Table()
    for name in ("category", "product"):
        table.add_column(name, no_wrap=True)
    for split in splits:
        table.add_column(f"{split}\nnormal", justify="right")
        table.add_column(f"{split}\nanomalous", justify="right")
    names = {row.category: row.product for row in rows}
    for category, product in names.items():
        of_category = [row for row in rows if row.category == category]
        counts = [count(of_category, split) for split in splits]
        table.add_row(category, product, *(str(n) for c in counts for n in (c.normal, c.anomalous)))
    totals = [count(rows, split) for split in splits]
    table.add_section()
    table.add_row("all", "", *(str(n) for c in totals for n in (c.normal, c.anomalous)))
    return table


@data_cli.command()
def render(
    out: Annotated[Path, typer.Argument(help="Folder to write to, in MVTec-AD's layout.")],
    pairs: Annotated[
        int, typer.Option(min=1, help="Normal and anomalous twins; with --held-out per family.")
    ] = 1000,
    size: _Side = 256,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="The families nothing is trained on.")
    ] = False,
    seed: Seed = 1,
) -> None:
    """Write procedural images to disk, to train or test on like any data set.

    Example: ssvp data render runs/drawn --pairs 2000, then: ssvp data prepare mvtec runs/drawn --out d.jsonl
    """
    from model.data.render import render_held_out, render_training

    with progress_bar("render") as progress:

        def advance(done: int, total: int) -> None:
            progress(done, total, {})

        if held_out:
            render_held_out(out, pairs, size, advance)
        else:
            render_training(out, pairs, size, seed, advance)
