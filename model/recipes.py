"""Training recipes by preset name; a preset without one is trained by the paper's.

Knows numbers only.
"""

from collections.abc import Mapping

from model.losses import LossWeights
from model.train import TrainConfig

PAPER = TrainConfig()

# Towers from scratch need more than CLIP's do: higher rates, larger batches, defective pixels weighed up
# and the ranking of twins (D18).
NANO = TrainConfig(
    steps=600,
    batch_size=16,
    prompt_learning_rate=6e-3,
    head_learning_rate=3e-3,
    rarity_learning_rate=3e-4,
    losses=LossWeights(ranking=0.5, balanced=True),
)

RECIPES: Mapping[str, TrainConfig] = {"ssvp-nano": NANO}


def recipe_for(name: str) -> TrainConfig:
    """Return the recipe of a preset."""
    return RECIPES.get(name, PAPER)
