"""All there is to measure on a GPU in one call: what the device can do, and what is made of it.

    .venv/bin/python -m benchmarks.gpu [--config ssvp-large | --bundle FOLDER] [--precision fp16] [--compile]

Without a bundle the model has random weights: its time and memory are those of a trained one. Tables come one
by one, the device's own limits first, then towers, runtime and service, so that an error in a later one costs
no earlier one. Each time is the shortest of ten tries. Some minutes. Without onnxruntime's CUDA provider the
heads are computed by torch and there is no service.
"""

import argparse
import copy
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import onnxruntime as ort
import torch

from app.runtime.ssvp import load_runtime
from app.runtime.towers import tower_dtype
from benchmarks import service_ceiling
from benchmarks.gpu.device import print_device
from benchmarks.gpu.timing import Ceiling, Table
from benchmarks.gpu.towers import flops, noise, print_precision, print_towers
from benchmarks.gpu.whole import print_runtime, print_torch_heads, write_random_bundle
from model.assembly import SSVP
from model.bundle import read_bundle
from model.checkpoint import load_towers
from model.config import PRESETS

BATCHES = (1, 2, 4, 8, 16, 32)
DEFAULT_BATCH, SERVED_BATCH = 8, 16
PRECISION_IMAGES = 2
COMPILED_WITHIN_S = 1200.0


def load_model(bundle: str | None, config: str, *, full_depth: bool) -> SSVP:
    """Return a bundle's towers with heads of random weights, or a whole model of those."""
    torch.manual_seed(0)
    if bundle is None:
        preset = PRESETS[config]
        return SSVP(
            replace(preset, dino_blocks=preset.clip_blocks) if full_depth else preset
        ).eval()
    found = read_bundle(bundle)
    config_read = found.manifest.config
    return SSVP(config_read, *load_towers(found.path, config_read)).eval()


def measure_towers(
    model: SSVP, device: torch.device, dtype: torch.dtype, ceiling: Ceiling, *, compiled: bool
) -> int:
    """Print what copies of the towers do; returns the floating-point operations of one image."""
    clip, dino = copy.deepcopy((model.clip, model.dino))
    if dino is None:
        raise ValueError("this benchmark is of models with both towers")
    clip.to(device)
    dino.to(device)
    images = noise(model.config, PRECISION_IMAGES, device)
    counted = flops(clip, images.clip) + flops(dino, images.dino)
    print_precision((clip, dino), (images.clip, images.dino))
    print_towers(clip, dino, model.config, dtype, BATCHES, ceiling, compiled=compiled)
    return counted


def measure_served(
    bundle: str,
    options: argparse.Namespace,
    device: torch.device,
    image_flops: int,
    ceiling: Ceiling,
) -> None:
    """Print what runtime and service do with a bundle."""
    table = Table("Loaded and warm", "largest batch", "s", "memory used, GiB")
    for largest in (DEFAULT_BATCH, max(BATCHES)):
        began = time.perf_counter()
        runtime = load_runtime(
            bundle, str(device), options.precision, largest, compiled=options.compile
        )
        runtime.warm_up()
        used = runtime.memory()["used"] / 2**30
        table.row(largest, f"{time.perf_counter() - began:.1f}", f"{used:.1f}")
        if largest == max(BATCHES):
            print_runtime(runtime, BATCHES, device, image_flops, ceiling)
        del runtime
        torch.cuda.empty_cache()
    if options.no_service:
        return
    os.environ |= {
        "SSVP_BUNDLE": bundle,
        "SSVP_MAX_BATCH": str(SERVED_BATCH),
        "SSVP_COMPILE": str(options.compile),
        "SSVP_PRECISION": options.precision,
    }
    samples = sorted(service_ceiling.SAMPLES.glob("*.png"))
    start_s = COMPILED_WITHIN_S if options.compile else service_ceiling.START_S
    callers = 3 * SERVED_BATCH  # one batch is computed, one waits, one is drawn and sent
    service_ceiling.measure(samples, rounds=3, seconds=5, start_s=start_s, callers=callers)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="ssvp-large", choices=list(PRESETS))
    parser.add_argument("--bundle", help="folder or shipped name instead of random weights")
    parser.add_argument(
        "--full-depth", action="store_true", help="DINO up to CLIP's last block, not its own"
    )
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "fp16", "bf16"])
    parser.add_argument("--compile", action="store_true", help="compile the towers")
    parser.add_argument("--no-cudnn-attention", action="store_true", help="leave that to flash")
    parser.add_argument("--no-service", action="store_true", help="leave out the HTTP service")
    options = parser.parse_args()
    if options.bundle and options.full_depth:
        parser.error("--full-depth is of random weights; a bundle has its own depth")
    if not torch.cuda.is_available():
        parser.exit(1, "there is no GPU here, or torch cannot use it\n")
    if options.no_cudnn_attention:
        torch.backends.cuda.enable_cudnn_sdp(enabled=False)
    device = torch.device("cuda:0")
    dtype = tower_dtype(options.precision, device)
    ceiling = print_device(device)
    model = load_model(options.bundle, options.config, full_depth=options.full_depth)
    stream = torch.cuda.Stream(device)  # nothing is recorded on the default one
    with torch.cuda.stream(stream):
        counted = measure_towers(model, device, dtype, ceiling, compiled=options.compile)
    torch.cuda.empty_cache()
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        with torch.cuda.stream(stream):
            print_torch_heads(model.to(device), dtype, BATCHES, ceiling)
        return
    with tempfile.TemporaryDirectory() as folder:
        bundle = options.bundle or str(write_random_bundle(model, Path(folder)))
        measure_served(bundle, options, device, counted, ceiling)


if __name__ == "__main__":
    main()
