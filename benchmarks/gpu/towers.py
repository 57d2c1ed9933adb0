"""Both towers on a device: each alone, both one after the other, on two streams, as a CUDA graph.

Knows towers; knows neither heads nor onnxruntime, so it measures where the latter has no CUDA.
"""

import copy
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from app.runtime.towers import GraphedTowers, Precision, Towers, keep_fp32, tower_dtype
from benchmarks.gpu.timing import Ceiling, Table, fastest_s, ms
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.backbones.inference import optimised
from model.config import SSVPConfig
from model.preprocess import TowerImages

Tower = ClipTower | DinoTower
HALF: tuple[Precision, ...] = ("fp16", "bf16")


def noise(config: SSVPConfig, count: int, device: torch.device) -> TowerImages:
    """Return images of the right sizes."""

    def images(side: int) -> Tensor:
        return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, device=device)

    clip = images(config.clip_size_px)
    shared = config.dino_size_px == config.clip_size_px
    return TowerImages(clip, clip if shared else images(config.dino_size_px))


@torch.inference_mode()
def flops(tower: Tower, images: Tensor) -> int:
    """Count the floating-point operations of one image's matrix products and convolutions."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(
        False
    )  # one operator for a whole layer: it would count as nothing
    try:
        with FlopCounterMode(display=False) as counter:
            tower(images[:1])
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())


@torch.inference_mode()
def print_precision(towers: Iterable[Tower], images: Iterable[Tensor]) -> None:
    """Print how far tokens in half precision are from those in fp32, and how near they come to its end."""
    keep_fp32()
    table = Table(
        "Tokens in half precision against fp32; fp16 ends at 65504, behind which there is no score at all",
        *(
            "tower",
            "precision",
            "largest token",
            "largest difference",
            "difference, RMS",
            "all finite",
        ),
    )
    for tower, pixels in zip(towers, images, strict=True):
        exact = _all(optimised(copy.deepcopy(tower))(pixels))
        for label in HALF:
            found = _all(optimised(copy.deepcopy(tower), tower_dtype(label, pixels.device))(pixels))
            table.row(
                type(tower).__name__,
                label,
                f"{found.abs().max():.1f}",
                f"{(found - exact).abs().max():.4f}",
                f"{(found - exact).square().mean().sqrt():.5f}",
                "yes" if found.isfinite().all() else "NO",
            )


def _all(features: TowerFeatures) -> Tensor:
    plain = features.float()
    return torch.cat([t.flatten() for t in (plain.class_token, *plain.patch_tokens)])


@torch.inference_mode()
def print_towers(
    clip: ClipTower,
    dino: DinoTower,
    config: SSVPConfig,
    dtype: torch.dtype,
    batches: tuple[int, ...],
    ceiling: Ceiling,
    *,
    compiled: bool,
) -> None:
    """Print what a batch of each size takes in every way of launching it; the towers are optimised in place."""
    device = clip.normalise.mean.device
    one = noise(config, 1, device)
    clip_flops, dino_flops = flops(clip, one.clip), flops(dino, one.dino)
    both_flops = clip_flops + dino_flops
    towers = Towers(clip, dino, device, dtype, compiled=compiled)
    graphed = GraphedTowers(towers, config, device)
    if device.type == "cuda":
        graphed.prepare(max(batches))
    also = ", compiled where on two streams or as a graph" if compiled else ""
    table = Table(
        f"Towers in {dtype}{also}: CLIP {clip_flops / 1e12:.2f}, DINO {dino_flops / 1e12:.2f} TFLOP an image;"
        " times in ms, in brackets the share of the ceiling",
        *("batch", "CLIP", "TFLOP/s", "DINO", "TFLOP/s", "one stream", "two streams", "as a graph"),
        *("TFLOP/s", "images/s", "memory, GiB"),
    )
    for count in batches:
        images = noise(config, count, device)
        _forget_peak(device)
        clip_s = fastest_s(partial(clip, images.clip), device)
        dino_s = fastest_s(partial(dino, images.dino), device)
        one_s = fastest_s(lambda i=images: (clip(i.clip), dino(i.dino)), device)  # type: ignore[misc]
        two_s = fastest_s(partial(towers, images), device)
        whole_s = fastest_s(partial(graphed, images, 1), device)
        table.row(
            count,
            ms(clip_s),
            ceiling.share(count * clip_flops, clip_s),
            ms(dino_s),
            ceiling.share(count * dino_flops, dino_s),
            ms(one_s),
            ms(two_s),
            ms(whole_s),
            ceiling.share(count * both_flops, whole_s),
            f"{count / whole_s:.0f}",
            _peak_gib(device),
        )


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak_gib(device: torch.device) -> str:
    if device.type != "cuda":
        return "-"
    return f"{torch.cuda.max_memory_allocated(device) / 2**30:.1f}"
