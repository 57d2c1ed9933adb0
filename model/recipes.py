"""Training recipes by preset name; a preset without one is trained by the paper's."""

from collections.abc import Mapping

from model.losses import LossWeights
from model.train import TrainConfig

PAPER = TrainConfig()

# From scratch on procedural pairs: larger batches and rates, and the ranking of twins (D18). Two CPU cores
# render and two train; about an hour in all with pretraining.
NANO = TrainConfig(
    steps=1500,
    pairs_per_batch=8,
    prompt_learning_rate=2e-3,
    head_learning_rate=1e-3,
    losses=LossWeights(ranking=0.5),
)

RECIPES: Mapping[str, TrainConfig] = {"ssvp-nano": NANO}


def recipe_for(name: str) -> TrainConfig:
    """Return the recipe of a preset."""
    return RECIPES.get(name, PAPER)
