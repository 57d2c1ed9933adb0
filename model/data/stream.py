"""Procedural pairs as a stream of training batches: reproducible, resumable, rendered in other processes.

Knows the generator and torch's loader; knows no model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model.data.captions import describe
from model.data.procedural import TRAIN_DEFECTS, TRAIN_FAMILIES, generate_pair
from model.types import SamplePair

RETRY_STRIDE = 1 << 39  # far from the numbers of any run's other pairs


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs laid out one after another: normal, anomalous, normal, anomalous, ...

    Attributes:
        images: uint8 `[2n, 3, S, S]`.
        masks: bool `[2n, S, S]`.
        products: spoken name of each image's product.
        captions: one sentence an image.
        states: product and defect of each image in one word; images that share it share their meaning.
    """

    images: Tensor
    masks: Tensor
    products: list[str]
    captions: list[str]
    states: list[str]


@dataclass(frozen=True)
class StreamConfig:
    """What to render: `pairs_per_batch` pairs of `size_px` pixels, numbered on from `first_pair`.

    Of every batch this stream renders part number `part` of `parts` equal ones.
    """

    seed: int
    size_px: int
    pairs_per_batch: int
    first_pair: int
    batches: int
    workers: int
    part: int = 0
    parts: int = 1

    @property
    def pairs_per_part(self) -> int:
        """Pairs that this stream adds to a batch."""
        return self.pairs_per_batch // self.parts


class _Pairs(Dataset[SamplePair]):
    """Number i is the pair of seed (stream seed, first pair + i), whoever renders it and when."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config

    def __len__(self) -> int:
        return self._config.batches * self._config.pairs_per_part

    def __getitem__(self, index: int) -> SamplePair:
        config = self._config
        batch, place = divmod(index, config.pairs_per_part)
        number = batch * config.pairs_per_batch + config.part * config.pairs_per_part + place
        seed = (config.seed << 40) + config.first_pair + number
        while True:
            try:
                return generate_pair(seed, config.size_px, TRAIN_FAMILIES, TRAIN_DEFECTS)
            except (
                ValueError
            ):  # no visible defect could be drawn on that scene: rare, so take another
                seed += RETRY_STRIDE


def _collate(pairs: list[SamplePair]) -> Batch:
    samples = [s for p in pairs for s in (p.normal, p.anomalous)]
    # The captions' dice are thrown from the pixels, so they are as reproducible as the images.
    rngs = [np.random.default_rng(int(s.image[::16, ::16].astype(np.int64).sum())) for s in samples]
    return Batch(
        images=torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2),
        masks=torch.from_numpy(np.stack([s.marked for s in samples])),
        products=[s.product for s in samples],
        captions=[describe(s, r) for s, r in zip(samples, rngs, strict=True)],
        states=[f"{s.product}|{s.defect}" for s in samples],
    )


def pairs_of(config: StreamConfig) -> Iterator[SamplePair]:
    """Render the pairs of a stream one by one, in this process."""
    pairs = _Pairs(config)
    for index in range(len(pairs)):
        yield pairs[index]


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the loader's processes already use every core
    torch.set_num_threads(1)


def batches(config: StreamConfig) -> Iterator[Batch]:
    """Render batches in `workers` processes, in order."""
    loader: DataLoader[SamplePair] = DataLoader(
        _Pairs(config),
        batch_size=config.pairs_per_part,
        num_workers=config.workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if config.workers else None,
    )
    yield from loader
