"""Make a model: pretrain, train, export."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.commands.options import (
    Device,
    Out,
    Preset,
    Seed,
    Workers,
    device_named,
    preset_named,
    progress_bar,
)


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

    where = device_named(device)
    if processes is None:  # a fixed number, so that every CPU trains the same model
        processes = 4 if where.type == "cpu" else 1
    recipe = PretrainConfig(seed=seed, workers=workers, processes=processes)
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    with progress_bar("pretrain") as progress:
        pretrain(preset_named(config), recipe, out, where, progress)


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
        train(load_untrained(towers, config), recipe, out, device_named(device), progress)


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
