"""What the promise of a threshold is worth on photographs: good ones are split at random, many times.

    .venv/bin/python -m benchmarks.thresholds GOOD --product 'magnetic tile' [--bad FOLDER] [--bundle ssvp-nano]

All are scored once, by the runtime that serves. Each split calibrates on some good ones and counts how many of
the others, and of the bad ones, are rejected. Also said: how often drift is seen among the others, which are
as good as those calibrated on, and in the others taken 20 % brighter.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.engine.decode import decode
from app.products.conformal import needed, threshold
from app.products.drift import WINDOW, DriftWatch, bins_of
from app.products.suspicion import in_two_groups, stands_out
from app.runtime.protocol import Query, Runtime
from app.runtime.ssvp import load_runtime

SPLITS, CALIBRATE_ON, BRIGHTER = 200, 100, 1.2
Scores = NDArray[np.float64]


def _scores(runtime: Runtime, paths: Sequence[Path], product: str, exposure: float = 1.0) -> Scores:
    found = []
    for path in paths:
        image = decode(path.read_bytes(), 64_000_000)
        if exposure != 1.0:
            image = np.asarray(
                Image.fromarray(image).point(lambda v: min(255, round(exposure * v)))
            )
        (prediction,) = runtime.predict([Query(runtime.prepare(image), product)])
        found.append(round(prediction.score, 4))
    return np.asarray(found)


def _promise(good: Scores, bad: Scores, rate: float, rng: np.random.Generator) -> str:
    good_rates, bad_rates = [], []
    count = max(needed(rate), CALIBRATE_ON)
    for _ in range(SPLITS):
        mixed = rng.permutation(good)
        at = threshold(mixed[:count].tolist(), rate).value
        good_rates.append(float((mixed[count:] >= at).mean()))
        bad_rates.append(float((bad >= at).mean()) if len(bad) else np.nan)
    low, high = np.quantile(good_rates, (0.025, 0.975))
    return (
        f"asked {rate:.3f}, {count} good parts: rejected of the other good ones {np.mean(good_rates):.4f} "
        f"(95 % of splits {low:.4f} to {high:.4f}), of the bad ones {np.mean(bad_rates):.3f}"
    )


def _drift(good: Scores, live: Scores, rng: np.random.Generator) -> str:
    crossed, indices, limits = 0, [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(good))
        watch = DriftWatch(bins_of(good[order[:CALIBRATE_ON]].tolist()), CALIBRATE_ON)
        others = live[order[CALIBRATE_ON:]][:WINDOW]
        crossed += any(watch.observe(score) for score in others.tolist())
        if (drift := watch.drift()) is not None:
            indices.append(drift.psi)
            limits.append(drift.limit)
    seen = f"{crossed} of {SPLITS} splits cross"
    return f"index {np.median(indices):.3f}, limit {np.median(limits):.3f}: {seen}"


def main() -> None:
    """Score, split, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("good", type=Path)
    parser.add_argument("--bad", type=Path)
    parser.add_argument("--product", default="object")
    parser.add_argument("--bundle", default="ssvp-nano")
    asked = parser.parse_args()
    runtime, rng = load_runtime(asked.bundle), np.random.default_rng(0)
    paths = sorted(p for p in asked.good.rglob("*") if p.is_file())
    bad_paths = sorted(p for p in asked.bad.rglob("*") if p.is_file()) if asked.bad else []
    good = _scores(runtime, paths, asked.product)
    bad = _scores(runtime, bad_paths, asked.product)
    print(
        f"{len(good)} good, {len(bad)} bad; good scores {np.quantile(good, (0, 0.5, 1)).round(4)}"
    )
    listed = good.tolist()
    print(f"stand out: {len(stands_out(listed))}; two groups: {in_two_groups(listed)}")
    for rate in (0.02, 0.05):
        print(_promise(good, bad, rate, rng))
    print(f"as good: {_drift(good, good, rng)}")
    brighter = _scores(runtime, paths, asked.product, BRIGHTER)
    print(f"20 % brighter: {_drift(good, brighter, rng)}")


if __name__ == "__main__":
    main()
