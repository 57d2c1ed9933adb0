"""The whole runtime on a device: upload, towers, heads, download.

With onnxruntime's CUDA provider that is what the service runs. Without it the heads are torch's, which says how
long towers and copies take and leaves the heads' own speed open.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from app.runtime.protocol import Query
from app.runtime.ssvp import SSVPRuntime
from app.runtime.towers import GraphedTowers, Towers
from benchmarks.gpu.timing import Ceiling, Table, fastest_s, ms
from benchmarks.gpu.towers import noise
from model.assembly import SSVP
from model.bundle import read_bundle, write_manifest
from model.export import Thresholds, export_bundle
from model.preprocess import TowerImages, collate
from model.ssvp.exportable import ExportableHeads, head_inputs

PICTURE_PX = 1024


def write_random_bundle(model: SSVP, folder: Path) -> Path:
    """Export a model of random weights: its time and memory are those of a trained one.

    In half precision such a model may give its golden image another score, so any score is the right one. All
    parts are OK, as most are on a line: a map of noise would have regions as no part has.
    """
    export_bundle(model, folder, "0", Thresholds(1.0, 0.5), {}, {})
    manifest = read_bundle(str(folder)).manifest
    golden = replace(manifest.golden, tolerance=1.0)
    write_manifest(folder, replace(manifest, golden=golden))
    return folder


def print_runtime(
    runtime: SSVPRuntime,
    batches: tuple[int, ...],
    device: torch.device,
    image_flops: int,
    ceiling: Ceiling,
) -> None:
    """Print what a batch of each size takes in a warm runtime; `image_flops` are one image's in the towers."""
    picture = np.random.default_rng(0).integers(0, 256, (PICTURE_PX, PICTURE_PX, 3), dtype=np.uint8)
    table = Table(
        "Runtime: from prepared pixels to scores and maps in the host's memory; TFLOP/s are the towers'",
        *("batch", "ms", "images/s", "TFLOP/s"),
    )
    for count in batches:
        queries = [Query(runtime.prepare(picture), "object") for _ in range(count)]
        whole_s = fastest_s(partial(runtime.predict, queries), device)
        table.row(
            count,
            ms(whole_s),
            f"{count / whole_s:.0f}",
            ceiling.share(count * image_flops, whole_s),
        )


@torch.inference_mode()
def print_torch_heads(
    model: SSVP, dtype: torch.dtype, batches: tuple[int, ...], ceiling: Ceiling
) -> None:
    """Print what a batch takes with the heads in torch; the model's towers are optimised in place."""
    config, device = model.config, model.clip.normalise.mean.device
    heads = ExportableHeads(model.heads.eval(), config)
    text = model.text_bank(["object"])
    towers = GraphedTowers(Towers(model.clip, model.dino, device, dtype), config, device)
    if device.type == "cuda":
        towers.prepare(max(batches))
    with FlopCounterMode(display=False) as counter:
        heads(*_inputs(towers, noise(config, 1, device), text))
    flops = counter.get_total_flops()
    table = Table(
        f"Heads in torch, fp32, {flops / 1e12:.2f} TFLOP an image: onnxruntime has no CUDA provider here",
        *("batch", "upload, ms", "heads, ms", "TFLOP/s", "upload, towers, heads, ms", "images/s"),
    )
    for count in batches:
        pinned = [noise(config, 1, torch.device("cpu")).pinned() for _ in range(count)]
        bank = text.expand(count, -1, -1)
        send = partial(_sent, pinned, device)
        inputs = _inputs(towers, send(), bank)
        upload_s = fastest_s(send, device)
        heads_s = fastest_s(partial(heads, *inputs), device)
        whole_s = fastest_s(lambda b=bank, s=send: heads(*_inputs(towers, s(), b)), device)  # type: ignore[misc]
        table.row(
            count,
            ms(upload_s),
            ms(heads_s),
            ceiling.share(count * flops, heads_s),
            ms(whole_s),
            f"{count / whole_s:.0f}",
        )


def _sent(images: list[TowerImages], device: torch.device) -> TowerImages:
    return collate([i.to(device) for i in images])


def _inputs(
    towers: GraphedTowers, images: TowerImages, text: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    tokens = towers(images, 1)
    return head_inputs(tokens.clip, tokens.dino, text)
