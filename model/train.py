"""Train the heads and prompts on frozen towers with the paper's objective (Algorithm 3).

Knows batches of tokens, the optimiser and the schedule. The towers come loaded; nothing here changes them.
"""

import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.assembly import SSVP
from model.bundle import PROMPTS_FILE
from model.checkpoint import (
    CONFIG_FILE,
    HISTORY_FILE,
    TRAINED_HEADS_FILE,
    load_history,
    save_json,
    save_module,
    share_towers,
)
from model.curves import open_curves
from model.devices import hardware_of
from model.losses import LossWeights, ssvp_losses
from model.progress import SAVE_EVERY_S, Progress
from model.prompts import DEFAULT_PRODUCT
from model.resume import clear_resume, load_resume, save_resume
from model.runs import check_recipe, is_finished, plain, save_recipe, weights_digest
from model.schedule import cosine_factor, set_learning_rates
from model.seeds import seed_of
from model.sources import Source
from model.ssvp.heads import SSVPHeads
from model.tokens import TokenBatch

RARITY = "rarity."  # names of the rarity experts' weights within the heads


@dataclass(frozen=True)
class TrainConfig:
    """How to train the heads.

    Attributes:
        epochs: passes over a manifest.
        steps: optimiser steps on procedural images, which never end.
        batch_size: images a step; procedural ones come in pairs.
        prompt_learning_rate: of V_bg and V_state.
        rarity_learning_rate: of the rarity experts, which pretraining has taught already; None: as the rest.
        head_learning_rate: of everything else.
        weight_decay: of AdamW.
        warmup_steps: linear warm-up before the cosine.
        nameless: chance that a product's name is replaced by "object" (D9).
        losses: weights of the objective's terms.
        seed: of weights, order, images and names.
        workers: processes that read or render images.
    """

    epochs: int = 15
    steps: int = 4000
    batch_size: int = 8
    prompt_learning_rate: float = 5e-4
    head_learning_rate: float = 1e-4
    rarity_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_steps: int = 50
    nameless: float = 0.4
    losses: LossWeights = field(default_factory=LossWeights)
    seed: int = 1
    workers: int = 2


def build_optimizer(model: SSVP, config: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW with the paper's two learning rates, and one of their own for taught rarity experts."""
    named = list(model.heads.named_parameters())
    taught = [p for name, p in named if name.startswith(RARITY)]
    others = [p for name, p in named if not name.startswith(RARITY)]
    rate = config.rarity_learning_rate
    return torch.optim.AdamW(
        [
            {"params": list(model.prompts.parameters()), "base_lr": config.prompt_learning_rate},
            {"params": others, "base_lr": config.head_learning_rate},
            {"params": taught, "base_lr": config.head_learning_rate if rate is None else rate},
        ],
        lr=config.head_learning_rate,
        weight_decay=config.weight_decay,
    )


def forget_names(products: list[str], share: float, generator: torch.Generator) -> list[str]:
    """Replace each name by "object" with the given chance (D9)."""
    dice = torch.rand(len(products), generator=generator).tolist()
    return [DEFAULT_PRODUCT if d < share else p for p, d in zip(products, dice, strict=True)]


def train_step(
    model: SSVP,
    batch: TokenBatch,
    products: list[str],
    optimizer: torch.optim.Optimizer,
    weights: LossWeights,
) -> dict[str, float]:
    """Take one step and return the value of every term."""
    text = model.text_bank(products)
    outputs = model.heads(batch.clip, batch.dino, text)
    losses = ssvp_losses(outputs, text, batch.masks, model.config.grid, weights)
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    trained = [p for g in optimizer.param_groups for p in g["params"]]
    nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    values: dict[str, Tensor] = {f.name: getattr(losses, f.name) for f in fields(losses)}
    return {k: float(v.detach()) for k, v in values.items()}


@dataclass
class _Run:
    """One training run: what it changes, and how far it is.

    Attributes:
        folder: of the run.
        recipe: all that decides its weights.
        step: steps made.
        began: when it would have begun had it never been stopped, on the monotonic clock.
    """

    folder: Path
    recipe: dict[str, Any]
    model: SSVP
    optimizer: torch.optim.Optimizer
    step: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.began

    def resume(self, device: torch.device) -> None:
        """Go on where an earlier call was stopped, if one was.

        Raises:
            OtherRecipeError: the folder holds another run.
        """
        saved = load_resume(self.folder, device)
        if saved is None:
            return
        check_recipe(saved["recipe"], self.recipe, self.folder)
        self.step, self.began = int(saved["step"]), self.began - float(saved["seconds"])
        self.model.prompts.load_state_dict(saved["prompts"])
        self.model.heads.load_state_dict(saved["heads"])
        self.optimizer.load_state_dict(saved["optimizer"])

    def save(self) -> None:
        """Write what `resume` needs."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "recipe": plain(self.recipe),
            "prompts": self.model.prompts.state_dict(),
            "heads": self.model.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_resume(self.folder, state)


def train(
    model: SSVP,
    config: TrainConfig,
    source: Source,
    run_dir: Path,
    device: torch.device,
    progress: Progress,
    save_every_s: float = SAVE_EVERY_S,
    towers: Path | None = None,
) -> None:
    """Train the heads of `model`; goes on where an earlier call was stopped, and ends at the same weights.

    A run that is finished is left as it is.

    Args:
        model: with loaded towers, on `device`.
        config: the recipe.
        source: of the batches.
        run_dir: receives the weights of heads and prompts, config, recipe, curves and history.
        device: where to train.
        progress: called after each step with step, total steps and the losses.
        save_every_s: how often the unfinished run is saved.
        towers: run folder of the towers; their files and what their run recorded are kept with this one.

    Raises:
        OtherRecipeError: when `run_dir` holds a run of another model, recipe, data or towers.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    model.train()
    optimizer = build_optimizer(model, config)
    recipe = _recipe(model, config, source)
    if is_finished(run_dir, TRAINED_HEADS_FILE, recipe):
        if towers is not None:
            share_towers(towers, run_dir)  # where they have been taken away
        return
    run = _Run(run_dir, recipe, model, optimizer)
    run.resume(device)
    save_recipe(run_dir, recipe)
    before: dict[str, Any] = {}
    if towers is not None:
        before = load_history(towers)
        share_towers(towers, run_dir)  # before the heads, by which a finished run is known
    last_save = time.monotonic()
    with open_curves(run_dir, run.step) as curves:
        for batch in source.batches(run.step):
            # One seed a step: a resumed run draws the same latents and names as one never stopped.
            torch.manual_seed(seed_of(config.seed, run.step))
            products = forget_names(batch.products, config.nameless, torch.default_generator)
            factor = cosine_factor(run.step, source.steps, config.warmup_steps)
            set_learning_rates(optimizer, factor)
            values = train_step(model, batch, products, optimizer, config.losses)
            run.step += 1
            curves(run.step, values)
            progress(run.step, source.steps, values)
            if time.monotonic() - last_save > save_every_s:
                last_save = time.monotonic()
                run.save()
    made = {k: v for k, v in recipe.items() if k != "config"}
    made |= {"training_hours": round(run.seconds / 3600, 2), "device": hardware_of(device)}
    _finish(model.eval(), {**before, "train": made}, run_dir)


def _recipe(model: SSVP, config: TrainConfig, source: Source) -> dict[str, Any]:
    """Say all that decides the weights; who renders or reads the images does not."""
    rarity = model.heads.rarity if isinstance(model.heads, SSVPHeads) else None
    return {
        "config": model.config.to_dict(),
        "recipe": {k: v for k, v in asdict(config).items() if k != "workers"},
        **source.description,
        # All that training starts from: the rarity experts came with the towers.
        "towers": weights_digest(model.clip, model.dino, rarity),
    }


def _finish(model: SSVP, history: dict[str, Any], run_dir: Path) -> None:
    save_json(model.config.to_dict(), run_dir / CONFIG_FILE)
    save_json(history, run_dir / HISTORY_FILE)
    save_module(model.prompts, run_dir / PROMPTS_FILE)
    # The last: by it a finished run is known.
    save_module(model.heads, run_dir / TRAINED_HEADS_FILE)
    clear_resume(run_dir)
