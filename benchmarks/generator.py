"""Pairs a second that one core renders, at the sizes ssvp-nano is trained at.

    .venv/bin/python -m benchmarks.generator

Training needs at least as many for each process that trains.
"""

import time

import cv2

from model.data.procedural import TRAIN_DEFECTS, TRAIN_FAMILIES, generate_pair

PAIRS = 200
FIRST_SEED = 900_000 << 40  # far from every training stream


def main() -> None:
    """Render and print."""
    cv2.setNumThreads(0)
    for size_px in (128, 192, 256):
        rendered, number = 0, 0
        began = time.perf_counter()
        while rendered < PAIRS:
            number += 1
            try:
                generate_pair(FIRST_SEED + number, size_px, TRAIN_FAMILIES, TRAIN_DEFECTS)
            except ValueError:  # no visible defect could be drawn; training takes another too
                continue
            rendered += 1
        rate = PAIRS / (time.perf_counter() - began)
        print(f"{size_px} px: {rate:.0f} pairs/s on one core")


if __name__ == "__main__":
    main()
