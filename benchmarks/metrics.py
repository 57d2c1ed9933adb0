"""Time and memory of the metrics over a data set of MVTec-AD's size: 1,725 maps of 518 x 518 pixels.

    .venv/bin/python benchmarks/metrics.py [--categories 15]

Runs on two cores. With --categories 1 all pixels are one set, the hardest case.
"""

import argparse
import os
import resource
import time

import cv2
import numpy as np

from model.pixel_metrics import pixel_figures

IMAGES, SIZE_PX = 1725, 518
CORES = 2


def main() -> None:
    """Make random smooth maps and masks, compute all figures and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=15)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    rng = np.random.default_rng(0)
    maps, masks = [], []
    for number in range(IMAGES):
        coarse = rng.random((37, 37), dtype=np.float32)
        maps.append(np.asarray(cv2.resize(coarse, (SIZE_PX, SIZE_PX)), dtype=np.float32))
        mask = np.zeros((SIZE_PX, SIZE_PX), dtype=np.bool_)
        if number % 4:
            x, y = rng.integers(0, SIZE_PX - 120, 2)
            mask[y : y + rng.integers(5, 120), x : x + rng.integers(5, 120)] = True
        masks.append(mask)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    began = time.perf_counter()
    for first in range(options.categories):
        chosen = slice(first, None, options.categories)
        figures = pixel_figures(maps[chosen], masks[chosen])
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{IMAGES} maps of {SIZE_PX} px in {options.categories} categories: {took:.0f} s")
    print(f"memory: {before:.1f} GiB with all maps and masks, {peak:.1f} GiB at most")
    print(f"the last category: {figures}")


if __name__ == "__main__":
    main()
