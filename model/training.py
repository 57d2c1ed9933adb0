"""From a request to a trained run: towers, data and recipe brought together.

Knows how the parts of a training are found; `model.train` trains.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from model.assembly import SSVP
from model.checkpoint import CONFIG_FILE, load_untrained
from model.config import SSVPConfig
from model.data.manifest import read_manifest
from model.data.pixels import read_mask
from model.data.row import PROCEDURAL, DataLayoutError, ManifestRow
from model.progress import SAVE_EVERY_S, Progress
from model.recipes import recipe_for
from model.sources import ManifestSource, ProceduralSource, Source, epoch_order
from model.tokens import TokenCache
from model.train import TrainConfig, train

ProgressBar = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class TrainRequest:
    """What someone asked to be trained.

    Attributes:
        towers: run folder with the towers' weights.
        config: the model.
        data: path of a manifest, or `PROCEDURAL`.
        split: of the manifest: `test`, `train` or `all`.
        recipe: fields of `TrainConfig` that differ from the preset's recipe; `losses` as a mapping.
        workers: processes that read or render images.
        cache: folder for tokens, or None to run the towers every time.
        save_every_s: how often an unfinished run is saved.
    """

    towers: Path
    config: SSVPConfig
    data: str
    split: str = "test"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 2
    cache: Path | None = None
    save_every_s: float = SAVE_EVERY_S


def run_training(
    request: TrainRequest, out: Path, device: torch.device, progress_bar: ProgressBar
) -> None:
    """Train, or go on training, in a run folder; a finished run is left as it is.

    Args:
        request: what to train.
        out: the run folder.
        device: where to train.
        progress_bar: opens a bar of that title.

    Raises:
        DataLayoutError: the manifest cannot be read or holds nothing to learn from.
        FileNotFoundError: there are no towers.
        ValueError: the towers do not fit the config.
        OtherRecipeError: the run folder holds another run.
    """
    if not (request.towers / CONFIG_FILE).exists():
        raise FileNotFoundError(
            f"{request.towers} holds no towers; make them with `ssvp fetch` or `ssvp pretrain`"
        )
    recipe = _recipe(request)
    torch.manual_seed(recipe.seed)
    model = load_untrained(request.towers, request.config).to(device)
    source = _source(request, recipe, model, device, progress_bar)
    with progress_bar("train") as progress:
        train(model, recipe, source, out, device, progress, request.save_every_s, request.towers)


def _recipe(request: TrainRequest) -> TrainConfig:
    recipe = recipe_for(request.config.name)
    changes = dict(request.recipe)
    endless = "epochs" if request.data == PROCEDURAL else "steps"
    if endless in changes:
        raise ValueError(
            "procedural images are counted in steps, a manifest in epochs:"
            f" {endless} has no meaning for {request.data}"
        )
    losses = replace(recipe.losses, **changes.pop("losses", {}))
    if request.data != PROCEDURAL:
        losses = replace(losses, ranking=0.0)  # a manifest's images have no twins
    return replace(recipe, **changes, losses=losses, workers=request.workers)


def _source(
    request: TrainRequest,
    recipe: TrainConfig,
    model: SSVP,
    device: torch.device,
    progress_bar: ProgressBar,
) -> Source:
    if request.data == PROCEDURAL:
        return ProceduralSource(
            model, device, recipe.steps, recipe.batch_size, recipe.seed, recipe.workers
        )
    rows = labelled_rows(Path(request.data), request.split)
    cache = None
    if request.cache is not None:
        cache = TokenCache(request.cache, model, device)
        with progress_bar("towers") as progress:
            cache.fill(rows, lambda done, total: progress(done, total, {}))
    order = epoch_order(len(rows), recipe.batch_size, recipe.epochs, recipe.seed)
    return ManifestSource(model, device, rows, order, recipe.workers, cache)


def labelled_rows(manifest: Path, split: str) -> list[ManifestRow]:
    """Return a manifest's rows of a split.

    Raises:
        DataLayoutError: when there is no normal one, no anomalous one, or an anomalous one without a mask or
            with one that marks nothing: it would be learned as normal.
    """
    rows = [r for r in read_manifest(manifest) if split in (r.split, "all")]
    anomalous = [r for r in rows if r.anomalous]
    if not anomalous or len(anomalous) == len(rows):
        raise DataLayoutError(
            f"{manifest}: split {split} has {len(rows)} images, {len(anomalous)} of them anomalous;"
            " training needs both kinds"
        )
    without = [r.image for r in anomalous if r.mask is None]
    if without:
        raise DataLayoutError(
            f"{manifest}: {len(without)} anomalous images have no mask, the first is {without[0]}"
        )
    blank = [r.mask for r in anomalous if r.mask is not None and not read_mask(r.mask).any()]
    if blank:
        raise DataLayoutError(
            f"{manifest}: {len(blank)} masks of anomalous images mark nothing, the first is {blank[0]}"
        )
    return rows
