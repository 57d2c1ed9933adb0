"""Commands that make models: pretrain, train, export. Mounted into `ssvp` by the service's command line.

Knows options and progress bars; the work is done elsewhere.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from model.config import PRESETS, SSVPConfig

if TYPE_CHECKING:
    import torch  # the commands import it: it takes seconds, and `ssvp --help` needs none of it

model_cli = typer.Typer(no_args_is_help=True, help="Make models.")

Preset = Annotated[str, typer.Option("--config", help="Preset: " + ", ".join(PRESETS))]
Out = Annotated[Path, typer.Option("--out", help="Run folder; an unfinished run in it goes on.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda:0.")]
Workers = Annotated[int, typer.Option(help="Processes that render images.")]
Seed = Annotated[int, typer.Option(help="Seed of weights and images.")]


def _device(name: str) -> "torch.device":
    import torch

    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _preset(name: str) -> SSVPConfig:
    if name not in PRESETS:
        raise typer.BadParameter(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """Show a bar with remaining time and the smoothed losses; on a terminal or in a log alike."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=Console(stderr=True),
        refresh_per_second=1,
    )
    smooth: dict[str, float] = {}
    with bar:
        task = bar.add_task(title, total=None, losses="")

        def update(step: int, total: int, losses: dict[str, float]) -> None:
            for name, value in losses.items():
                smooth[name] = value if name not in smooth else 0.98 * smooth[name] + 0.02 * value
            text = " ".join(f"{n} {v:.3f}" for n, v in smooth.items())
            bar.update(task, completed=step, total=total, losses=text)
            if not bar.console.is_terminal and (step % 100 == 0 or step == total):
                bar.console.print(f"{title} {step}/{total} {text}", soft_wrap=True)

        yield update


@model_cli.command()
def pretrain(
    config: Preset = "ssvp-nano",
    out: Out = Path("runs/nano-towers"),
    steps: Annotated[int | None, typer.Option(help="Override the recipe's steps.")] = None,
    device: Device = "auto",
    workers: Workers = 1,
    processes: Annotated[
        int | None, typer.Option(help="Processes that train together; 4 on the CPU, 1 on a GPU.")
    ] = None,
    seed: Seed = 1,
) -> None:
    """Pretrain small towers from scratch on procedural images.

    Example: ssvp pretrain --config ssvp-nano --out runs/nano-towers
    """
    from model.pretrain import PretrainConfig, pretrain

    where = _device(device)
    if processes is None:  # a fixed number, so that every CPU trains the same model
        processes = 4 if where.type == "cpu" else 1
    recipe = PretrainConfig(seed=seed, workers=workers, processes=processes)
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    with progress_bar("pretrain") as progress:
        pretrain(_preset(config), recipe, out, where, progress)


@model_cli.command()
def train(
    towers: Annotated[Path, typer.Option(help="Run folder that holds the towers.")],
    out: Out,
    steps: Annotated[int | None, typer.Option(help="Override the recipe's steps.")] = None,
    device: Device = "auto",
    workers: Workers = 2,
    seed: Seed = 1,
) -> None:
    """Train heads and prompts on frozen towers with the paper's objective.

    Example: ssvp train --towers runs/nano-towers --out runs/nano
    """
    import torch

    from model.checkpoint import HISTORY_FILE, load_config, load_history, load_untrained, save_json
    from model.recipes import recipe_for
    from model.train import train

    config = load_config(towers)
    recipe = replace(recipe_for(config.name), seed=seed, workers=workers)
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    save_json(load_history(towers), out / HISTORY_FILE)
    with progress_bar("train") as progress:
        train(load_untrained(towers, config), recipe, out, _device(device), progress)


@model_cli.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a finished training.")],
    bundle: Annotated[Path, typer.Argument(help="Folder to write the bundle to.")],
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    pairs: Annotated[
        int, typer.Option(help="Procedural pairs for thresholds, and per held-out family.")
    ] = 300,
) -> None:
    """Write a model bundle.

    Example: ssvp export runs/nano model/bundles/ssvp-nano
    """
    from model.checkpoint import load_history, load_model
    from model.export import (
        choose_thresholds,
        export_bundle,
        measure_held_out,
        validation_samples,
    )

    console = Console(stderr=True)
    model = load_model(run)
    console.print("choosing thresholds on procedural images")
    thresholds = choose_thresholds(model, validation_samples(pairs))
    console.print(f"image {thresholds.image:.4f}, pixel {thresholds.pixel:.4f}")
    console.print("measuring on families never trained on")
    metrics = measure_held_out(model, pairs)
    console.print_json(data=metrics)
    export_bundle(model, bundle, version, thresholds, load_history(run), metrics)
    console.print(f"wrote {bundle}")


data_cli = typer.Typer(no_args_is_help=True, help="Look at the images that models are made from.")
model_cli.add_typer(data_cli, name="data")


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
