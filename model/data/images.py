"""Training images of any source, ready for the towers: procedural pairs, or the rows of a manifest.

Knows how an image is read, resized and joined to a batch; knows no tower and no loss.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model.config import SSVPConfig
from model.data.masks import TARGET_CELLS, cell_mask
from model.data.pixels import read_sample
from model.data.row import ManifestRow
from model.data.stream import StreamConfig, batches
from model.preprocess import TowerImages, collate, preprocess, tower_images


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images with their ground truth.

    Attributes:
        images: at each tower's size.
        masks: bool `[B, S, S]`, S any size; all False for a normal image.
        products: spoken name of each image's product.
    """

    images: TowerImages
    masks: Tensor
    products: list[str]


def procedural_images(stream: StreamConfig, config: SSVPConfig) -> Iterator[ImageBatch]:
    """Yield the pairs of a stream, normal and anomalous side by side."""
    for batch in batches(stream):
        yield ImageBatch(tower_images(batch.images, config), batch.masks, batch.products)


def manifest_images(
    rows: Sequence[ManifestRow],
    order: Sequence[Sequence[int]],
    config: SSVPConfig,
    workers: int,
) -> Iterator[ImageBatch]:
    """Read batches of rows in `workers` processes, in order.

    Args:
        rows: with masks where they are anomalous.
        order: the numbers of the rows of each batch.
        config: gives sizes and grid.
        workers: processes that read; 0 reads in this one.
    """
    loader: DataLoader[ImageBatch] = DataLoader(
        _Rows(rows, config),
        batch_sampler=[list(batch) for batch in order],
        num_workers=workers,
        collate_fn=_join,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
    )
    yield from loader


def read_row(row: ManifestRow, config: SSVPConfig) -> ImageBatch:
    """Read one row as a batch of one, its mask brought to `TARGET_CELLS` times the patch grid."""
    sample = read_sample(row)
    mask = cell_mask(torch.from_numpy(sample.marked)[None], TARGET_CELLS * config.grid) > 0.5
    return ImageBatch(preprocess(sample.image, config), mask, [sample.product])


class _Rows(Dataset[ImageBatch]):
    """Row by row, each a batch of one."""

    def __init__(self, rows: Sequence[ManifestRow], config: SSVPConfig) -> None:
        self._rows, self._config = rows, config

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> ImageBatch:
        return read_row(self._rows[index], self._config)


def _join(parts: list[ImageBatch]) -> ImageBatch:
    return ImageBatch(
        collate([p.images for p in parts]),
        torch.cat([p.masks for p in parts]),
        [name for p in parts for name in p.products],
    )


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)
