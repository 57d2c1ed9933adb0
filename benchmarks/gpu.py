"""All there is to measure on a GPU in one call: what the device can do, and what is made of it.

    .venv/bin/python -m benchmarks.gpu [--config ssvp-large | --bundle FOLDER] [--precision fp16] [--compile]

Without a bundle one with random weights is exported: its time and memory are those of a trained one. Each line
is the fastest of several tries; the device's matrix ceiling stands first, so that the rest can be read as a
share of it. Some minutes.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from torch.utils.flop_counter import FlopCounterMode

from app.runtime.protocol import Query
from app.runtime.ssvp import SSVPRuntime, load_runtime
from app.runtime.towers import GraphedTowers
from benchmarks import service_ceiling
from model.assembly import SSVP
from model.bundle import SHIPPED
from model.config import PRESETS
from model.export import Thresholds, export_bundle
from model.preprocess import collate
from model.ssvp.exportable import head_inputs

MATRIX = 8192
COPIED = 256 * 2**20
BATCHES = (1, 2, 4, 8, 16, 32)
TRIES = 10
PICTURE_PX = 1024


def fastest_s(work: Callable[[], object]) -> float:
    """Return the shortest of some runs, each waited for."""
    work()
    took = []
    for _ in range(TRIES):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        took.append(time.perf_counter() - began)
    return min(took)


def print_device() -> float:
    """Print what the device can do; returns its matrix ceiling in fp16, in TFLOP/s."""
    print(torch.cuda.get_device_name(), f"torch {torch.__version__}, onnxruntime {ort.__version__}")
    ceiling = 0.0
    for dtype in (torch.bfloat16, torch.float16):
        matrix = torch.randn(MATRIX, MATRIX, device="cuda", dtype=dtype)
        ceiling = 2 * MATRIX**3 / fastest_s(partial(torch.mm, matrix, matrix)) / 1e12
        print(f"matrix product, {dtype}: {ceiling:.0f} TFLOP/s")
    host = torch.empty(COPIED, dtype=torch.uint8, pin_memory=True)
    device = torch.empty(COPIED, dtype=torch.uint8, device="cuda")
    for name, work in (
        ("to the device", lambda: device.copy_(host, non_blocking=True)),
        ("to the host", lambda: host.copy_(device, non_blocking=True)),
    ):
        print(f"copy {name}: {COPIED / fastest_s(work) / 1e9:.1f} GB/s")
    return ceiling


@torch.inference_mode()
def print_stages(runtime: SSVPRuntime, batch: int, ceiling: float) -> None:
    """Print the time of towers, heads and the whole runtime at one batch size."""
    picture = np.random.default_rng(0).integers(0, 256, (PICTURE_PX, PICTURE_PX, 3), dtype=np.uint8)
    queries = [Query(runtime.prepare(picture), "object")] * batch
    whole_s = fastest_s(lambda: runtime.predict(queries))
    towers = runtime._towers
    assert isinstance(towers, GraphedTowers)  # noqa: S101
    with torch.cuda.stream(runtime._stream):
        images = collate([q.prepared.to(torch.device("cuda")) for q in queries])
        with FlopCounterMode(display=False) as counter:
            towers._towers(images)
        towers_s = fastest_s(lambda: towers(images, 1))
        tokens = towers(images, 1)
        text = torch.stack([runtime._text_bank("object")] * batch)
        inputs = head_inputs(tokens.clip, tokens.dino, text)
        heads_s = fastest_s(lambda: runtime._heads(inputs))
    rate = counter.get_total_flops() / towers_s / 1e12
    print(
        f"batch {batch:2d}: towers {1e3 * towers_s:6.1f} ms ({rate:.0f} TFLOP/s, {rate / ceiling:.0%}),"
        f" heads {1e3 * heads_s:5.1f} ms, runtime {1e3 * whole_s:6.1f} ms,"
        f" {batch / whole_s:5.0f} images/s,"
        f" memory {torch.cuda.max_memory_reserved() / 2**30:.1f} GiB",
        flush=True,
    )


def write_random_bundle(config: str, folder: Path) -> Path:
    """Export a model of random weights."""
    torch.manual_seed(0)
    export_bundle(SSVP(PRESETS[config]).eval(), folder, "0", Thresholds(0.5, 0.5), {}, {})
    return folder


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="ssvp-large", choices=list(PRESETS))
    parser.add_argument("--bundle", help="folder or shipped name instead of random weights")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "fp16", "bf16"])
    parser.add_argument("--compile", action="store_true", help="compile the towers")
    parser.add_argument("--no-service", action="store_true", help="leave out the HTTP service")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(1, "there is no GPU here, or torch cannot use it\n")
    ceiling = print_device()
    with tempfile.TemporaryDirectory() as folder:
        bundle = options.bundle or str(write_random_bundle(options.config, Path(folder)))
        began = time.perf_counter()
        runtime = load_runtime(
            bundle, "cuda:0", options.precision, max(BATCHES), compiled=options.compile
        )
        runtime.warm_up()
        print(f"loaded and warm after {time.perf_counter() - began:.1f} s")
        for batch in BATCHES:
            print_stages(runtime, batch, ceiling)
        del runtime
        torch.cuda.empty_cache()
        if not options.no_service:
            os.environ |= {
                "SSVP_BUNDLE": bundle,
                "SSVP_MAX_BATCH": "16",
                "SSVP_COMPILE": str(options.compile),
            }
            samples = sorted((SHIPPED.parents[1] / "docs" / "samples").glob("*.png"))
            service_ceiling.measure(samples, rounds=3, seconds=5)


if __name__ == "__main__":
    main()
