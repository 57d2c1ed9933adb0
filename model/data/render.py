"""Write procedural pairs to disk in MVTec-AD's layout, for whatever reads that.

Knows the generator and the layout; knows no model.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from model.data.held_out import held_out_samples
from model.data.procedural import HELD_OUT_FAMILIES
from model.data.stream import StreamConfig, pairs_of
from model.types import Sample

RENDER_OFFSET = (
    2_000_003  # other images than those that towers and heads are trained on as they come
)


def render_training(
    folder: Path, pairs: int, size_px: int, seed: int, progress: Callable[[int, int], None]
) -> None:
    """Write pairs of the families and defects that may be trained on."""
    stream = StreamConfig(
        seed=seed + RENDER_OFFSET,
        size_px=size_px,
        pairs_per_batch=1,
        first_pair=0,
        batches=pairs,
        workers=0,
    )
    for number, pair in enumerate(pairs_of(stream)):
        for sample in (pair.normal, pair.anomalous):
            write_sample(sample, folder, f"{number:06d}")
        progress(number + 1, pairs)


def render_held_out(
    folder: Path, pairs_per_family: int, size_px: int, progress: Callable[[int, int], None]
) -> None:
    """Write the pairs of the held-out families that `ssvp evaluate` draws."""
    total = 2 * pairs_per_family * len(HELD_OUT_FAMILIES)
    for number, sample in enumerate(held_out_samples(pairs_per_family, size_px)):
        write_sample(sample, folder, f"{number // 2:06d}")
        progress(number + 1, total)


def write_sample(sample: Sample, folder: Path, name: str) -> None:
    """Write one image, and its mask where it is anomalous, to the folder of its product."""
    product = folder / sample.product.replace(" ", "_")  # readers take the product's name from it
    kind = "good" if sample.defect is None else sample.defect.replace(" ", "_")
    image = product / "test" / kind / f"{name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image).save(image, compress_level=1)
    if sample.defect is not None:
        mask = product / "ground_truth" / kind / f"{name}_mask.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.marked.astype(np.uint8) * 255).save(mask)
