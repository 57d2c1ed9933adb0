"""Make a model: pretrain, train, export.

Knows the commands' options; `model.pretrain`, `model.training` and `model.export` do the work.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from model.commands.complaints import one_line_errors
from model.commands.options import (
    Change,
    Data,
    Device,
    Out,
    Preset,
    Seed,
    Split,
    Workers,
    changed,
    config_of,
    making_errors,
    preset_named,
    progress_bar,
)
from model.data.row import PROCEDURAL
from model.progress import SAVE_EVERY_S


def pretrain(
    config: Preset = "ssvp-nano",
    out: Out = Path("runs/ssvp-nano-towers"),
    steps: Annotated[int | None, typer.Option(help="Override the recipe's steps.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Override the recipe's learning rate.")
    ] = None,
    half_size: Annotated[
        float | None, typer.Option(help="Share of the steps on images of half the size.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Run folder of a finished pretraining to go on from, with another seed."),
    ] = None,
    device: Device = "auto",
    workers: Workers = 1,
    processes: Annotated[
        int | None, typer.Option(help="Processes that train together; 4 on the CPU, 1 on a GPU.")
    ] = None,
    seed: Seed = 1,
) -> None:
    """Pretrain small towers from scratch on procedural images.

    Example: ssvp pretrain --config ssvp-nano --out runs/ssvp-nano-towers
    """
    from model.devices import device_named
    from model.pretrain import pretrain
    from model.pretrain_recipe import PretrainConfig, phases_of

    phases = None if half_size is None else phases_of(half_size)
    asked = {"steps": steps, "learning_rate": learning_rate, "phases": phases}
    changes: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
    with one_line_errors(*making_errors()):
        where = device_named(device)
        if processes is None:  # a fixed number, so that every CPU trains the same model
            processes = 4 if where.type == "cpu" else 1
        recipe = PretrainConfig(seed=seed, workers=workers, processes=processes, **changes)
        with progress_bar("pretrain") as progress:
            pretrain(preset_named(config), recipe, out, where, progress, start)


def train(
    data: Data = PROCEDURAL,
    config: Annotated[
        str | None, typer.Option(help="Preset; by default the one the towers were made for.")
    ] = None,
    towers: Annotated[
        Path | None,
        typer.Option(help="Run folder that holds the towers. (default: runs/PRESET-towers)"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder; an unfinished run goes on. (default: runs/NAME)"),
    ] = None,
    change: Change = None,
    split: Annotated[
        Split, typer.Option(help="Rows of the manifest to train on: test, train or all.")
    ] = "test",
    epochs: Annotated[int | None, typer.Option(help="Passes over the manifest.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps on procedural images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for the towers' tokens of a manifest's images, computed once."),
    ] = None,
    device: Device = "auto",
    workers: Workers = 2,
    seed: Seed = 1,
    save_every_s: Annotated[
        float, typer.Option(help="How often an unfinished run is saved, in seconds.")
    ] = SAVE_EVERY_S,
) -> None:
    """Train heads and prompts on frozen towers with the paper's objective.

    Example: ssvp train --config ssvp-large --data visa.jsonl

    A manifest's test split is the default: in MVTec-AD, VisA and their kin the train split has no anomaly.
    """
    from model.devices import device_named
    from model.training import TrainRequest, run_training

    folder = towers or Path("runs") / f"{config or 'ssvp-nano'}-towers"
    asked = {"epochs": epochs, "steps": steps, "batch_size": batch_size}
    request = TrainRequest(
        towers=folder,
        config=changed(config_of(config, folder), change),
        data=data,
        split=split,
        recipe={k: v for k, v in asked.items() if v is not None} | {"seed": seed},
        workers=workers,
        cache=cache,
        save_every_s=save_every_s,
    )
    with one_line_errors(*making_errors()):
        run_folder = out or Path("runs") / request.config.name
        run_training(request, run_folder, device_named(device), progress_bar)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a finished training.")],
    bundle: Annotated[Path, typer.Argument(help="Folder to write the bundle to.")],
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    pairs: Annotated[
        int, typer.Option(help="Procedural pairs for thresholds, and per held-out family.")
    ] = 300,
    device: Device = "auto",
) -> None:
    """Write a model bundle.

    Example: ssvp export runs/ssvp-nano model/bundles/ssvp-nano
    """
    from model.checkpoint import load_history, load_model
    from model.devices import device_named
    from model.export import export_measured

    with one_line_errors(*making_errors()):
        where = device_named(device)
        model, history = load_model(run), load_history(run)
        export_measured(model, bundle, version, pairs, history, where, Console(stderr=True))
