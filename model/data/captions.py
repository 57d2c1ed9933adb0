"""Sentences about procedural images, for the image-text pretraining of the towers.

Knows what a sample is of and what is wrong with it; writes it down the way people would.
"""

import numpy as np

from model.types import Sample

NORMAL_WORDS = ("flawless", "perfect", "intact", "normal", "good", "clean", "undamaged")
ANOMALOUS_WORDS = ("damaged", "defective", "flawed", "broken", "faulty", "imperfect", "bad")
VIEWS = ("a photo of", "a picture of", "an image of", "a close-up of", "")


def describe(sample: Sample, rng: np.random.Generator) -> str:
    """Write one caption that names the product and its state, the defect sometimes by name."""
    view = rng.choice(VIEWS)
    product = sample.product if rng.random() < 0.8 else "object"
    if sample.defect is None:
        parts = [view, rng.choice(NORMAL_WORDS), product]
    elif rng.random() < 0.5:
        parts = [view, rng.choice(ANOMALOUS_WORDS), product]
    else:
        parts = [view, rng.choice(ANOMALOUS_WORDS), product, "with", sample.defect]
    return " ".join(str(p) for p in parts if p)
