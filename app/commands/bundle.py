"""`ssvp bundle`: what a bundle says of itself, and whether it is what was exported.

Knows bundles on disk and how to show them.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from app.commands.connection import Where, connected
from app.commands.terminal import SERVICE_ERRORS, DeviceName, progress_bar, write_line
from model.bundle import GOLDEN_FILE, Bundle, check_file, open_bundle
from model.commands.complaints import one_line_errors

bundle_cli = typer.Typer(no_args_is_help=True, help="Look at a model bundle and check it.")
BundleArgument = Annotated[
    str, typer.Argument(metavar="BUNDLE", help="Folder, or name of a shipped one.")
]


@bundle_cli.command()
def info(bundle: BundleArgument) -> None:
    """Show what a bundle says of itself; nothing is checked but its manifest.

    Example: ssvp bundle info ssvp-nano
    """
    with one_line_errors(*SERVICE_ERRORS):
        opened = open_bundle(bundle)
    manifest = opened.manifest
    config, golden = manifest.config, manifest.golden
    lines = {
        "name": f"{manifest.name} {manifest.version}",
        "digest": opened.digest,
        "folder": str(opened.path),
        "CLIP tower": f"{config.clip_model}, {config.clip_size_px} px",
        "DINO tower": f"{config.dino_model}, {config.dino_size_px} px"
        if config.uses_dino
        else "none",
        "threshold": f"{manifest.default_threshold:.4f}, of the map {manifest.map_threshold:.4f}",
        "golden image": f"{golden.product}, score {golden.score:.4f} ± {golden.tolerance:g}",
    }
    lines |= {name: _file_line(opened, name) for name in opened.files}
    for name, figures in manifest.metrics.items():
        of_set = figures.items() if isinstance(figures, Mapping) else [("", figures)]
        lines[f"on {name}"] = ", ".join(f"{figure} {value}".strip() for figure, value in of_set)
    width = max(len(name) for name in lines)
    for name, value in lines.items():
        write_line(f"{name:<{width}}  {value}")


@bundle_cli.command()
def verify(
    bundle: BundleArgument,
    golden: Annotated[
        bool, typer.Option("--golden", help="Load it too, and inspect its golden image.")
    ] = False,
    device: DeviceName = None,
) -> None:
    """Check that every file of a bundle is the one that was exported; exit code 2 if not.

    Example: ssvp bundle verify bundles/ssvp-large --golden
    """
    with one_line_errors(*SERVICE_ERRORS):
        opened = open_bundle(bundle)
        _verify_files(opened)
        write_line(f"{opened.path}: all files are as exported, digest {opened.digest}")
        if golden:
            score = asyncio.run(_golden_score(opened, device))
            expected = opened.manifest.golden
            write_line(
                f"golden image: {score:.4f}, recorded {expected.score:.4f} ± {expected.tolerance:g}"
            )


def _verify_files(opened: Bundle) -> None:
    names = opened.files
    sizes = {name: _size(opened.file(name)) for name in names}
    with progress_bar("check", sum(sizes.values())) as advance:
        for name in names:
            check_file(opened, name)
            advance(sizes[name])


async def _golden_score(opened: Bundle, device: str | None) -> float:
    """Return the golden image's score; a service that does not get the recorded one is not ready."""
    async with connected(Where(bundle=str(opened.path), device=device)) as client:
        picture, product = opened.file(GOLDEN_FILE), opened.manifest.golden.product
        return (await client.detect(picture, product=product, heatmap="none")).score


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _file_line(opened: Bundle, name: str) -> str:
    size = _size(opened.file(name))
    shown = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
    return f"{shown if size else 'missing'}, SHA-256 {opened.manifest.files.get(name, 'unknown')}"
