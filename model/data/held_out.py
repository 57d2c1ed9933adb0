"""The procedural test set: families never trained on, with every defect, trained on or not.

Knows the generator; knows no model.
"""

from collections.abc import Iterator

from model.data.procedural import DEFECTS, HELD_OUT_FAMILIES, generate_pair
from model.types import Sample

HELD_OUT_SEED = 4_000_000 << 40  # far from every training stream


def held_out_samples(pairs_per_family: int, size_px: int) -> Iterator[Sample]:
    """Yield normal and anomalous twins, family by family; the same ones each time."""
    for number, family in enumerate(HELD_OUT_FAMILIES):
        for i in range(pairs_per_family):
            seed = HELD_OUT_SEED + number * 1_000_000 + i
            pair = generate_pair(seed, size_px, [family], tuple(DEFECTS))
            yield from (pair.normal, pair.anomalous)
