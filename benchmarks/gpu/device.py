"""What a GPU can do at most: matrix products, copies.

Knows the device; knows no model.
"""

from functools import partial

import onnxruntime as ort
import torch

from app.runtime.towers import Precision, tower_dtype
from benchmarks.gpu.timing import Ceiling, Table, fastest_s

MATRIX = 8192
COPIED = 256 * 2**20
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")


def print_device(device: torch.device) -> Ceiling:
    """Print what the device can do; returns its rate of fp16 matrix products."""
    name = torch.cuda.get_device_name(device)
    versions = f"torch {torch.__version__}, onnxruntime {ort.__version__}"
    table = Table(f"{name}, {versions}", "at most", "figure")
    flops_per_s = 0.0
    for label in PRECISIONS:
        matrix = torch.randn(MATRIX, MATRIX, device=device, dtype=tower_dtype(label, device))
        seconds = fastest_s(partial(torch.mm, matrix, matrix), device)
        flops_per_s = 2 * MATRIX**3 / seconds
        table.row(
            f"products of {MATRIX} x {MATRIX} in {label}, TFLOP/s", f"{flops_per_s / 1e12:.0f}"
        )
    there = torch.empty(COPIED, dtype=torch.uint8, device=device)
    pinned = torch.empty(COPIED, dtype=torch.uint8, pin_memory=True)
    pageable = torch.zeros(COPIED, dtype=torch.uint8)
    for what, to, source in (
        ("from pinned memory", there, pinned),
        ("from other memory", there, pageable),
        ("to pinned memory", pinned, there),
    ):
        seconds = fastest_s(partial(to.copy_, source, non_blocking=True), device)
        table.row(f"copies {what}, GB/s", f"{COPIED / seconds / 1e9:.1f}")
    return Ceiling(flops_per_s)
