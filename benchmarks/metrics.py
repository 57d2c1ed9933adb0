"""Time and memory of all metrics over a data set of MVTec-AD's size: 1,725 maps of 518 x 518 pixels.

    .venv/bin/python -m benchmarks.metrics [--categories 15] [--defects 5]

Runs on two cores, through the evaluation itself: figures per category and per defect, scores made up. With
--categories 1 all pixels are one set, the hardest case.
"""

import argparse
import os
import resource
import time
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from model.evaluate import ScoredImage, measure
from model.types import Sample

IMAGES, SIZE_PX = 1725, 518
CORES = 2
SEED = 0


def _samples(categories: int, defects: int) -> Iterator[Sample]:
    """Yield three anomalous images to one normal; the image itself is of no use here."""
    rng = np.random.default_rng(SEED)
    image = np.zeros((1, 1, 3), dtype=np.uint8)
    for number in range(IMAGES):
        mask = np.zeros((SIZE_PX, SIZE_PX), dtype=np.bool_)
        category, place = str(number % categories), number // categories
        if place % 4:
            x, y = rng.integers(0, SIZE_PX - 120, 2)
            mask[y : y + rng.integers(5, 120), x : x + rng.integers(5, 120)] = True
        defect = str(place % defects) if place % 4 else None
        yield Sample(image, mask, category, category, defect)


class _Scorer:
    """Make up scores and smooth maps; note when the last batch was done."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(SEED + 1)
        self.done_s = 0.0

    def __call__(self, samples: Sequence[Sample]) -> list[ScoredImage]:
        scored = [self._score() for _ in samples]
        self.done_s = time.perf_counter()
        return scored

    def _score(self) -> ScoredImage:
        coarse = self._rng.random((37, 37), dtype=np.float32)
        anomaly_map = np.asarray(cv2.resize(coarse, (SIZE_PX, SIZE_PX)), dtype=np.float32)
        return ScoredImage(float(self._rng.random()), anomaly_map)


def main() -> None:
    """Measure and print what the metrics took, the making of maps left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=15)
    parser.add_argument("--defects", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    scorer = _Scorer()
    report = measure(_samples(options.categories, options.defects), scorer)
    took_s = time.perf_counter() - scorer.done_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{report.images} maps of {SIZE_PX} px in {options.categories} categories: {took_s:.0f} s"
    )
    print(f"memory: {peak:.1f} GiB at most, maps and masks included")
    print(report.macro)


if __name__ == "__main__":
    main()
