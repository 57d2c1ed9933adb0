"""Seconds a step, peak memory and the projected hours of the paper's training, on towers with random weights.

    .venv/bin/python -m benchmarks.training --config ssvp-large --steps 60
    .venv/bin/python -m benchmarks.training --config ssvp-nano --steps 60 --cached

Images are rendered at 512 px, read from disk and decoded as VisA's would be.
"""

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch

from model.assembly import SSVP
from model.config import PRESETS
from model.data.manifest import open_data
from model.data.render import render_training
from model.recipes import PAPER
from model.sources import ManifestSource, epoch_order
from model.tokens import TokenCache
from model.train import build_optimizer, train_step

VISA_IMAGES = 2162
IMAGE_PX = 512
WARM_UP_STEPS = 5


def measure(config: str, steps: int, batch_size: int, workers: int, *, cached: bool) -> None:
    """Train for some steps and print what they cost."""
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    model = SSVP(PRESETS[config]).to(device).train()
    optimizer = build_optimizer(model, PAPER)
    with tempfile.TemporaryDirectory() as folder:
        render_training(Path(folder) / "data", 40, IMAGE_PX, 1, lambda *_: None)
        rows = open_data(Path(folder) / "data")
        cache = TokenCache(Path(folder) / "cache", model, device) if cached else None
        if cache is not None:
            began = time.perf_counter()
            cache.fill(rows, lambda *_: None)
            print(
                f"towers: {1e3 * (time.perf_counter() - began) / len(rows):.0f} ms an image, once"
            )
        epochs = -(-steps * batch_size // len(rows))
        order = epoch_order(len(rows), batch_size, epochs, seed=1)[:steps]
        took, last = [], time.perf_counter()
        for batch in ManifestSource(model, device, rows, order, workers, cache).batches(0):
            train_step(
                model, batch, batch.products, optimizer, PAPER.losses
            )  # waits for the device
            now = time.perf_counter()
            took.append(now - last)
            last = now
    step_s = statistics.median(took[WARM_UP_STEPS:])
    hours = step_s * PAPER.epochs * VISA_IMAGES / batch_size / 3600
    print(f"{config} on {device}, batch {batch_size}: {step_s:.3f} s a step, median of {len(took)}")
    print(f"{PAPER.epochs} epochs of VisA's {VISA_IMAGES} images: {hours:.1f} hours")
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**30
        held = torch.cuda.max_memory_reserved(device) / 2**30
        print(f"GPU memory: {peak:.1f} GiB used, {held:.1f} GiB held at most")
    else:
        print(
            f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB at most"
        )


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="ssvp-large", choices=list(PRESETS))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=PAPER.batch_size)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--cached", action="store_true")
    options = parser.parse_args()
    measure(
        options.config, options.steps, options.batch_size, options.workers, cached=options.cached
    )


if __name__ == "__main__":
    main()
