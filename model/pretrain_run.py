"""One pretraining run: what was asked for, how far it is, what it leaves behind of itself.

Knows the pair of towers and the run folder; trains nothing.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.checkpoint import (
    load_history,
    load_pretrained,
    resized_attention_pool,
    towers_digests,
)
from model.config import SSVPConfig
from model.devices import hardware_of
from model.parallel import Part
from model.pretrain_objective import TowerPair
from model.pretrain_recipe import Phase, PretrainConfig
from model.resume import save_resume
from model.runs import plain


@dataclass(frozen=True)
class PretrainRequest:
    """What every process of a run is told; attributes as `pretrain` has them, and `recipe_of`'s answer."""

    model: SSVPConfig
    config: PretrainConfig
    run_dir: Path
    device: torch.device
    start: Path | None
    recipe: dict[str, Any]


class PretrainRun:
    """One pretraining run: what was asked for, how far it is, and the weights it has got so far."""

    def __init__(self, request: PretrainRequest, part: Part) -> None:
        self.request, self.part = request, part
        self.step = self.pairs_seen = 0
        self.began = time.monotonic()  # when it would have begun had it never been stopped
        self.state: dict[str, Tensor] | None = None  # averaged weights of the last phase

    @property
    def seconds(self) -> float:
        """How long it has taken so far, images included."""
        return time.monotonic() - self.began

    def build(self, phase: Phase) -> TowerPair:
        """Build the pair for a phase's image size, going on from the last phase's weights.

        The first phase goes on from the towers of `start`, where there is one, and from the rarity experts if
        the model has any.
        """
        model, size = self.request.model, self.size_px(phase)
        sized = replace(model, clip_size_px=size, dino_size_px=size, grid=self.grid(phase))
        pair = TowerPair(sized).to(memory_format=torch.channels_last)
        if self.state is not None:
            clip = {k.removeprefix("clip.model."): v for k, v in self.state.items()}
            fitted = resized_attention_pool(clip, pair.clip.model)
            key = "visual.attnpool.positional_embedding"
            pair.load_state_dict({**self.state, f"clip.model.{key}": fitted[key]})
        elif self.request.start is not None:
            # Experts that the model does not have are probes like the others: no run keeps them.
            rarity = pair.rarity if model.rarity_experts else None
            load_pretrained(pair.clip, pair.dino, rarity, self.request.start)
        return pair.to(self.request.device)

    def size_px(self, phase: Phase) -> int:
        """Return the side of a phase's images."""
        return round(self.request.model.clip_size_px * phase.scale)

    def grid(self, phase: Phase) -> int:
        """Return the grid whose cells cover as many pixels as the model's own."""
        return round(self.request.model.grid * phase.scale)

    def bounds(self) -> list[tuple[Phase, int, int]]:
        """Return each phase with its first and last-plus-one step."""
        config, ends, total = self.request.config, [], 0.0
        for phase in config.phases:
            total += phase.share
            ends.append(round(total * config.steps))
        return list(zip(config.phases, [0, *ends[:-1]], ends, strict=True))

    def save(self, **weights: Any) -> None:
        """Write what the run needs to go on from here; the leading process does."""
        if self.part.leads:
            position = {
                "recipe": plain(self.request.recipe),
                "step": self.step,
                "pairs_seen": self.pairs_seen,
                "seconds": self.seconds,
            }
            save_resume(self.request.run_dir, {**position, **weights}, packed=True)


def recipe_of(model: SSVPConfig, config: PretrainConfig, start: Path | None) -> dict[str, Any]:
    """Say all that decides the weights but the number of processes, see `PretrainConfig`.

    A run may go on with another number; who renders the images decides nothing.
    """
    recipe = {k: v for k, v in asdict(config).items() if k not in ("workers", "processes")}
    before = [] if start is None else towers_digests(start)
    return {"config": model.to_dict(), "recipe": recipe, "start": before}


def seeds_of(record: dict[str, Any] | None) -> Iterator[int]:
    """Yield the seed of a pretraining, of the one that it started from, and so on."""
    while record:
        yield record["recipe"]["seed"]
        record = record.get("start")


def history_of(run: PretrainRun) -> dict[str, Any]:
    """Return what a finished run tells of itself, and of those that it started from."""
    start = run.request.start
    before = {} if start is None else {"start": load_history(start).get("pretrain")}
    return {
        "recipe": asdict(run.request.config),
        "images": 2 * run.pairs_seen,
        "training_hours": round(run.seconds / 3600, 2),
        "device": hardware_of(run.request.device),
        **before,
    }
