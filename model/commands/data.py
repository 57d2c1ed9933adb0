"""Look at the images that models are made from."""

from pathlib import Path
from typing import Annotated

import typer

from model.commands.options import Seed

data_cli = typer.Typer(no_args_is_help=True, help="Look at the images that models are made from.")


@data_cli.command()
def sheet(
    out: Annotated[Path, typer.Argument(help="Image file to write; .jpg or .png.")],
    defects: Annotated[
        bool, typer.Option("--defects", help="One strip a kind of defect instead of a family.")
    ] = False,
    size: Annotated[int, typer.Option(help="Side of each image in px.")] = 128,
    columns: Annotated[int, typer.Option(help="Strips side by side.")] = 4,
    seed: Seed = 1,
) -> None:
    """Draw a contact sheet of the procedural images: normal, defective, mask.

    Example: ssvp data sheet families.jpg
    """
    from PIL import Image

    from model.data.procedural.sheet import contact_sheet, defect_sheet

    draw = defect_sheet if defects else contact_sheet
    Image.fromarray(draw(seed, size, columns)).save(out, quality=88)


@data_cli.command()
def twins(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    family: Annotated[str, typer.Option(help="Name of a family.")] = "leather",
    size: Annotated[int, typer.Option(help="Side of the images in px.")] = 512,
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
    out.mkdir(parents=True, exist_ok=True)
    defect = str(pair.anomalous.defect).replace(" ", "-")
    for sample, state in ((pair.normal, "good"), (pair.anomalous, defect)):
        Image.fromarray(sample.image).save(out / f"{family}-{state}.png", optimize=True)
