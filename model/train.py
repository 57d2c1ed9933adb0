"""Train the heads and prompts on frozen towers with the paper's objective (Algorithm 3).

Knows batches, the optimiser and the schedule. The towers come loaded; nothing here changes them.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.bundle import CLIP_FILE, DINO_FILE, PROMPTS_FILE
from model.checkpoint import (
    CONFIG_FILE,
    HEADS_FILE,
    HISTORY_FILE,
    clear_resume,
    load_history,
    load_resume,
    save_json,
    save_module,
    save_resume,
)
from model.data.stream import Batch, StreamConfig, batches
from model.losses import Losses, LossWeights, ssvp_losses
from model.preprocess import tower_images
from model.prompts import DEFAULT_PRODUCT
from model.schedule import cosine_factor, set_learning_rates
from model.ssvp.heads import HeadOutputs
from model.ssvp.model import SSVP

Progress = Callable[[int, int, dict[str, float]], None]
SAVE_EVERY_S = 60.0
STREAM_OFFSET = 1_000_003  # heads see other images than the towers were pretrained on


@dataclass(frozen=True)
class TrainConfig:
    """How to train the heads.

    Attributes:
        steps: optimiser steps.
        pairs_per_batch: normal/defective pairs a step; the paper's batch of 8 is 4 pairs.
        prompt_learning_rate: of V_bg and V_state.
        head_learning_rate: of everything else.
        weight_decay: of AdamW.
        warmup_steps: linear warm-up before the cosine.
        nameless: chance that a product's name is replaced by "object" (D9).
        losses: weights of the objective's terms.
        seed: of weights, images and names.
        workers: processes that render images.
    """

    steps: int = 2000
    pairs_per_batch: int = 4
    prompt_learning_rate: float = 5e-4
    head_learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_steps: int = 50
    nameless: float = 0.4
    losses: LossWeights = field(default_factory=LossWeights)
    seed: int = 1
    workers: int = 2


def head_parameters(model: SSVP) -> list[nn.Parameter]:
    """Return what is trained beside the prompts."""
    return list(model.heads.parameters())


def build_optimizer(model: SSVP, config: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW with the paper's two learning rates."""
    return torch.optim.AdamW(
        [
            {"params": list(model.prompts.parameters()), "base_lr": config.prompt_learning_rate},
            {"params": head_parameters(model), "base_lr": config.head_learning_rate},
        ],
        lr=config.head_learning_rate,
        weight_decay=config.weight_decay,
    )


def forget_names(products: list[str], share: float, generator: torch.Generator) -> list[str]:
    """Replace each name by "object" with the given chance (D9)."""
    dice = torch.rand(len(products), generator=generator).tolist()
    return [DEFAULT_PRODUCT if d < share else p for p, d in zip(products, dice, strict=True)]


def forward_loss(
    model: SSVP, batch: Batch, products: list[str], weights: LossWeights, device: torch.device
) -> tuple[Losses, HeadOutputs]:
    """Run towers in bf16 without gradients, heads in fp32, and compute the objective."""
    images = tower_images(batch.images, model.config).to(device)
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
        clip, dino = model.clip(images.clip), model.dino(images.dino)
    text = model.text_bank(products)
    outputs: HeadOutputs = model.heads(clip.float(), dino.float(), text)
    return ssvp_losses(outputs, text, batch.masks.to(device), model.config.grid, weights), outputs


def train_step(
    model: SSVP,
    batch: Batch,
    products: list[str],
    optimizer: torch.optim.Optimizer,
    weights: LossWeights,
) -> dict[str, float]:
    """Take one step and return the value of every term."""
    device = next(model.heads.parameters()).device
    losses, _ = forward_loss(model, batch, products, weights, device)
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    trained = [p for g in optimizer.param_groups for p in g["params"]]
    nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    values: dict[str, Tensor] = {f.name: getattr(losses, f.name) for f in fields(losses)}
    return {k: float(v.detach()) for k, v in values.items()}


def train(
    model: SSVP, config: TrainConfig, run_dir: Path, device: torch.device, progress: Progress
) -> None:
    """Train the heads of `model` on procedural pairs; goes on where an earlier call was stopped.

    Args:
        model: with loaded towers.
        config: the recipe.
        run_dir: receives weights, config and history.
        device: where to train.
        progress: called after each step with step, total steps and the losses.
    """
    torch.manual_seed(config.seed)
    run_dir.mkdir(parents=True, exist_ok=True)
    model.to(device).train()
    optimizer = build_optimizer(model, config)
    step, seconds = 0, 0.0
    saved = load_resume(run_dir, device)
    if saved is not None:
        step, seconds = int(saved["step"]), float(saved["seconds"])
        model.prompts.load_state_dict(saved["prompts"])
        model.heads.load_state_dict(saved["heads"])
        optimizer.load_state_dict(saved["optimizer"])
    last_save = time.monotonic()
    for batch in _stream(config, model.config.clip_size_px, model.config.dino_size_px, step):
        began = time.monotonic()
        # One seed a step: a resumed run draws the same latents and names as one never stopped.
        torch.manual_seed((config.seed << 32) + step)
        products = forget_names(batch.products, config.nameless, torch.default_generator)
        set_learning_rates(optimizer, cosine_factor(step, config.steps, config.warmup_steps))
        values = train_step(model, batch, products, optimizer, config.losses)
        step += 1
        seconds += time.monotonic() - began
        progress(step, config.steps, values)
        if time.monotonic() - last_save > SAVE_EVERY_S:
            last_save = time.monotonic()
            save_resume(run_dir, _resume_state(model, optimizer, step, seconds))
    _finish(model.eval(), config, run_dir, seconds, device)


def _stream(config: TrainConfig, clip_px: int, dino_px: int, step: int) -> Iterator[Batch]:
    return batches(
        StreamConfig(
            seed=config.seed + STREAM_OFFSET,
            size_px=max(clip_px, dino_px),
            pairs_per_batch=config.pairs_per_batch,
            first_pair=step * config.pairs_per_batch,
            batches=config.steps - step,
            workers=config.workers,
        )
    )


def _resume_state(
    model: SSVP, optimizer: torch.optim.Optimizer, step: int, seconds: float
) -> dict[str, Any]:
    return {
        "step": step,
        "seconds": seconds,
        "prompts": model.prompts.state_dict(),
        "heads": model.heads.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def _finish(
    model: SSVP, config: TrainConfig, run_dir: Path, seconds: float, device: torch.device
) -> None:
    for module, name in (
        (model.clip.model, CLIP_FILE),
        (model.dino.model, DINO_FILE),
        (model.prompts, PROMPTS_FILE),
        (model.heads, HEADS_FILE),
    ):
        save_module(module, run_dir / name)
    save_json(model.config.to_dict(), run_dir / CONFIG_FILE)
    history = {
        **load_history(run_dir),
        "train": {
            "recipe": asdict(config),
            "images": 2 * config.pairs_per_batch * config.steps,
            "training_hours": round(seconds / 3600, 2),
            "device": str(device),
        },
    }
    save_json(history, run_dir / HISTORY_FILE)
    clear_resume(run_dir)
