"""Options and progress bars that the commands share. Knows the terminal; the work is done elsewhere."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

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

from model import progress
from model.config import PRESETS, SSVPConfig

Preset = Annotated[str, typer.Option("--config", help="Preset: " + ", ".join(PRESETS))]
Out = Annotated[Path, typer.Option("--out", help="Run folder; an unfinished run in it goes on.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda:0.")]
Workers = Annotated[int, typer.Option(help="Processes that render images.")]
Data = Annotated[
    str,
    typer.Option(help="Manifest of `ssvp data prepare`, or 'procedural': rendered pairs."),
]
Split = Literal["test", "train", "all"]
Change = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field of the config: --set fusion=concat. Repeatable."),
]
Seed = Annotated[int, typer.Option(help="Seed of weights and images.")]


def preset_named(name: str) -> SSVPConfig:
    """Return a preset; an unknown name ends the command with the known ones."""
    if name not in PRESETS:
        raise typer.BadParameter(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def config_of(preset: str | None, towers: Path) -> SSVPConfig:
    """Return a preset, or, where none is named, the config the towers in a run folder were made for."""
    from model.checkpoint import CONFIG_FILE, load_config

    if preset is not None:
        return preset_named(preset)
    if not (towers / CONFIG_FILE).exists():
        raise typer.BadParameter(
            f"{towers} holds no towers; make them with `ssvp fetch` or `ssvp pretrain`"
        )
    return load_config(towers)


def changed(config: SSVPConfig, changes: Sequence[str] | None) -> SSVPConfig:
    """Apply changes of the form `field=value`, the value as JSON or as plain text."""
    values = config.to_dict()
    for change in changes or ():
        name, equals, text = change.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {change}: expected FIELD=VALUE")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    try:
        return SSVPConfig.from_dict(values)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def making_errors() -> tuple[type[Exception], ...]:
    """Return the errors that a person who makes models can do something about."""
    from model.data.row import DataLayoutError
    from model.runs import OtherRecipeError

    return DataLayoutError, OtherRecipeError, FileNotFoundError, ValueError


@contextmanager
def progress_bar(title: str) -> Iterator[progress.Progress]:
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
