"""Learning rates over a run: a short linear warm-up, then a cosine to zero.

Knows steps and factors; knows nothing of what is trained.
"""

import math

from torch.optim import Optimizer


def cosine_factor(step: int, total_steps: int, warmup_steps: int) -> float:
    """Return the factor in [0, 1] on the base learning rate for a step counted from 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def set_learning_rates(optimizer: Optimizer, factor: float) -> None:
    """Scale every group's `base_lr`."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
