"""Get published weights and make towers of them.

Knows the command's options; `model.weights` does the work.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.commands.complaints import one_line_errors
from model.commands.options import Change, changed, making_errors, preset_named


def fetch(
    preset: Annotated[str, typer.Argument(help="Preset: ssvp-large, ssvp-base, ssvp-fast.")],
    out: Annotated[
        Path | None, typer.Option(help="Run folder to write. (default: runs/PRESET-towers)")
    ] = None,
    clip_file: Annotated[
        Path | None,
        typer.Option(help="CLIP's weights from disk: open_clip's or OpenAI's .pt, or safetensors."),
    ] = None,
    dino_file: Annotated[
        Path | None,
        typer.Option(help="DINOv3's weights from disk: timm's or Meta's own, .pth or safetensors."),
    ] = None,
    change: Change = None,
) -> None:
    """Get CLIP's and DINOv3's weights, from the hub or from files, and write the towers.

    Example: ssvp fetch ssvp-large --dino-file dinov3_vitl16_pretrain_lvd1689m.pth
    """
    from model.weights.fetch import fetch_towers
    from model.weights.files import WeightsError

    config = changed(preset_named(preset), change)
    folder = out or Path("runs") / f"{preset}-towers"
    console = Console(stderr=True, soft_wrap=True, markup=False)
    with one_line_errors(*making_errors(), WeightsError):
        fetch_towers(config, folder, clip_file, dino_file, console.print)
    console.print(f"wrote {folder}")
