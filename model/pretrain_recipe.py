"""How to pretrain: image sizes, steps and rates. Numbers only."""

from dataclasses import dataclass

from model.seeds import VALIDATION_SEED


@dataclass(frozen=True)
class Phase:
    """A stretch of the run at one image size.

    Attributes:
        scale: image size, as a part of the model's own; 1 in the last phase.
        share: of all steps.
        pairs_per_batch: normal/defective pairs a step.
    """

    scale: float
    share: float
    pairs_per_batch: int


def phases_of(half_size: float) -> tuple[Phase, Phase]:
    """Return the phases that give this share of the steps to images of half the size: many, but small."""
    return Phase(0.5, half_size, 32), Phase(1.0, 1.0 - half_size, 12)


@dataclass(frozen=True)
class PretrainConfig:
    """How to pretrain.

    Attributes:
        steps: optimiser steps over all phases.
        phases: image sizes in order; shares add up to 1.
        learning_rate, weight_decay: of AdamW.
        ema_decay: of the averaged weights, which are the ones kept.
        seed: of weights and images.
        workers: processes that render images, for each process that trains.
        processes: that train, each on its share of every batch; more than one on the CPU only. Each takes batch
            statistics and contrastive negatives from its share alone, so another number is another objective;
            for a stopped run that goes on with it, from there on.
    """

    steps: int = 14400
    phases: tuple[Phase, ...] = phases_of(0.55)
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    seed: int = 1
    workers: int = 2
    processes: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: when a batch does not divide by the processes, or the seed is set aside.
        """
        if self.seed == VALIDATION_SEED:
            raise ValueError(f"seed {self.seed} draws the images that thresholds are chosen on")
        if any(p.pairs_per_batch % self.processes for p in self.phases):
            raise ValueError(f"pairs_per_batch must be a multiple of processes: {self.processes}")
