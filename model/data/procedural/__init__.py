"""Procedural inspection images from seeds: the only data the small model is trained on.

Knows how surfaces, objects and their defects look; nothing of models, files or training.
"""

from model.data.procedural.pair import generate_pair
from model.data.procedural.registry import (
    DEFECTS,
    FAMILIES,
    HELD_OUT_DEFECTS,
    HELD_OUT_FAMILIES,
    TRAIN_DEFECTS,
    TRAIN_FAMILIES,
)

__all__ = [
    "DEFECTS",
    "FAMILIES",
    "HELD_OUT_DEFECTS",
    "HELD_OUT_FAMILIES",
    "TRAIN_DEFECTS",
    "TRAIN_FAMILIES",
    "generate_pair",
]
