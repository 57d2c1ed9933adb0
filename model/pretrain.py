"""Pretrain small towers from scratch on procedural images (D17, D18).

The CLIP tower learns image-text contrast, so that its text side means something; both towers learn where
defects are from the masks the generator knows, through probes that are thrown away afterwards. Whoever has
CLIP's and DINOv3's own weights needs none of this. The rarity experts (D16) are trained along and are kept:
the heads start from them.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from model.backbones.clip import is_convolutional
from model.bundle import CLIP_FILE, DINO_FILE
from model.checkpoint import (
    CONFIG_FILE,
    HISTORY_FILE,
    RARITY_FILE,
    load_history,
    save_json,
    save_module,
)
from model.config import SSVPConfig
from model.data.stream import Batch, StreamConfig, batches
from model.parallel import Part, together
from model.precision import autocast
from model.pretrain_objective import PretrainOutputs, TowerPair, pretrain_losses
from model.pretrain_recipe import Phase, PretrainConfig
from model.pretrain_run import (
    PretrainRequest,
    PretrainRun,
    history_of,
    recipe_of,
    seeds_of,
)
from model.progress import SAVE_EVERY_S, Progress
from model.resume import clear_resume, load_resume
from model.runs import check_recipe, is_finished, save_recipe
from model.schedule import cosine_factor, set_learning_rates

WARMUP_STEPS = 60


def pretrain(
    model: SSVPConfig,
    config: PretrainConfig,
    run_dir: Path,
    device: torch.device,
    progress: Progress,
    start: Path | None = None,
) -> None:
    """Train both towers and write them to a run folder; goes on where an earlier call was stopped.

    A run that is finished is left as it is.

    Args:
        model: the architecture.
        config: the recipe.
        run_dir: receives the towers' and the rarity experts' weights, `config.json`, `history.json`.
        device: where to train.
        progress: called after each step with step, total steps and the losses.
        start: run folder of a finished pretraining of the same architecture to start from, or None to start
            from random weights. The probes and the optimiser start anew either way.

    Raises:
        ValueError: when the CLIP tower is a ViT, several processes are asked for on another device than the
            CPU, or the weights to start from are of another architecture or were trained with the same seed.
        FileNotFoundError: `start` holds no towers.
        OtherRecipeError: `run_dir` holds a run of another recipe.
    """
    if not is_convolutional(model):
        raise ValueError(
            f"{model.name} has a ViT as CLIP tower: pretraining is for small convolutional towers from scratch;"
            " a ViT takes published weights, which need none (`ssvp fetch`)"
        )
    if config.processes > 1 and device.type != "cpu":
        raise ValueError(f"several processes train on the CPU only, not on {device}")
    recipe = recipe_of(model, config, start)
    if is_finished(run_dir, CLIP_FILE, recipe):
        return
    if start is not None and config.seed in seeds_of(load_history(start).get("pretrain")):
        raise ValueError(
            f"{start} has been trained on the images of seed {config.seed} already: take another seed"
        )
    run_dir.mkdir(parents=True, exist_ok=True)
    saved = load_resume(run_dir, device)
    if saved is not None:
        check_recipe(saved["recipe"], recipe, run_dir)
    save_recipe(run_dir, recipe)
    request = PretrainRequest(model, config, run_dir, device, start, recipe)
    with together(config.processes, _pretrain_part, request) as part:
        run = _pretrain_part(part, request, progress)
    _finish(run)


def _silent(step: int, steps: int, losses: dict[str, float]) -> None:
    """Report nothing: the leading process does."""


def _pretrain_part(
    part: Part, request: PretrainRequest, progress: Progress = _silent
) -> PretrainRun:
    torch.manual_seed(request.config.seed)  # the same first weights in every process
    run = PretrainRun(request, part)
    saved = load_resume(request.run_dir, request.device)
    if saved is not None:
        run.step, run.pairs_seen = int(saved["step"]), int(saved["pairs_seen"])
        run.began, run.state = run.began - float(saved["seconds"]), saved.get("start")
    for phase, first, last in run.bounds():
        if run.step >= last:
            continue
        inside = saved if saved is not None and run.step > first else None
        _train_phase(run, phase, first, last, inside, progress)
    return run


def _train_phase(
    run: PretrainRun,
    phase: Phase,
    first: int,
    last: int,
    saved: dict[str, Any] | None,
    progress: Progress,
) -> None:
    config = run.request.config
    pair = run.build(phase).train()
    average = AveragedModel(
        pair, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True
    )
    optimizer = _optimizer(pair, config)
    if saved is not None:
        pair.load_state_dict(saved["pair"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
    shared = (
        DistributedDataParallel(pair, find_unused_parameters=True) if run.part.parts > 1 else pair
    )
    last_save = time.monotonic()
    for batch in _phase_batches(run, phase, last):
        factor = cosine_factor(run.step, config.steps, WARMUP_STEPS)
        # Each phase starts a fresh optimiser. In the first, both warm-ups multiply: the rate rises as a square.
        warm = min(1.0, (run.step - first + 1) / WARMUP_STEPS)
        set_learning_rates(optimizer, factor * warm)
        losses = _step(shared, batch, optimizer, run.grid(phase))
        average.update_parameters(pair)
        run.step += 1
        run.pairs_seen += phase.pairs_per_batch
        progress(run.step, config.steps, losses)
        inside_phase = run.step < last  # the next phase starts from the weights saved below
        if inside_phase and time.monotonic() - last_save > SAVE_EVERY_S:
            last_save = time.monotonic()
            run.save(
                pair=pair.state_dict(),
                average=average.state_dict(),
                optimizer=optimizer.state_dict(),
            )
    run.state = {k: v.detach().clone() for k, v in average.module.state_dict().items()}
    run.save(start=run.state)


def _phase_batches(run: PretrainRun, phase: Phase, last: int) -> Iterator[Batch]:
    return batches(
        StreamConfig(
            seed=run.request.config.seed,
            size_px=run.size_px(phase),
            pairs_per_batch=phase.pairs_per_batch,
            first_pair=run.pairs_seen,
            batches=last - run.step,
            workers=run.request.config.workers,
            part=run.part.number,
            parts=run.part.parts,
        )
    )


def _step(
    pair: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer, grid: int
) -> dict[str, float]:
    device = next(pair.parameters()).device
    with autocast(device):
        outputs: PretrainOutputs = pair(batch.images.to(device), batch.captions)
    losses = pretrain_losses(outputs, batch, grid)
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    nn.utils.clip_grad_norm_(pair.parameters(), 1.0)
    optimizer.step()
    return {k: float(v.detach()) for k, v in losses.items()}


def _optimizer(pair: TowerPair, config: PretrainConfig) -> torch.optim.AdamW:
    matrices = [p for p in pair.parameters() if p.ndim >= 2]
    vectors = [p for p in pair.parameters() if p.ndim < 2]  # norms, biases, scales: no decay
    lr = config.learning_rate
    return torch.optim.AdamW(
        [
            {"params": matrices, "base_lr": lr, "weight_decay": config.weight_decay},
            {"params": vectors, "base_lr": lr, "weight_decay": 0.0},
        ],
        lr=lr,
    )


def _finish(run: PretrainRun) -> None:
    request, run_dir = run.request, run.request.run_dir
    pair = run.build(request.config.phases[-1])
    save_module(pair.dino.model, run_dir / DINO_FILE)
    if request.model.rarity_experts:
        save_module(pair.rarity, run_dir / RARITY_FILE)
    save_json(request.model.to_dict(), run_dir / CONFIG_FILE)
    save_json({"pretrain": history_of(run)}, run_dir / HISTORY_FILE)
    # The last: by it a finished run is known.
    save_module(pair.clip.model, run_dir / CLIP_FILE)
    clear_resume(run_dir)
