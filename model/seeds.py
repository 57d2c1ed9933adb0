"""One seed out of several numbers, so that none of them is lost; and the one that nothing is trained from.

Knows numbers only.
"""

import numpy as np

VALIDATION_SEED = 77  # of the images that a bundle's thresholds are chosen on


def seed_of(*parts: int) -> int:
    """Mix numbers into 32 bits, all that torch's CPU generator keeps of a seed; a shifted one is cut off."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
