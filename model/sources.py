"""Where training batches come from: procedural pairs, a manifest's images, or their tokens kept on disk.

Each source numbers its batches from 0 and can start at any of them, so that a stopped run goes on with the
very batches it had not seen. Knows towers and data; knows no optimiser.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from model.assembly import SSVP
from model.data.images import manifest_images, procedural_images
from model.data.manifest import rows_digest
from model.data.row import PROCEDURAL, ManifestRow
from model.data.stream import StreamConfig
from model.seeds import seed_of
from model.tokens import TokenBatch, TokenCache, tokens_of

STREAM_OFFSET = 1_000_003  # heads see other images than the towers were pretrained on


class Source(Protocol):
    """A finite, reproducible sequence of batches."""

    @property
    def steps(self) -> int:
        """How many batches there are."""
        ...

    @property
    def description(self) -> dict[str, str | int]:
        """What the history of a run says of it."""
        ...

    def batches(self, first: int) -> Iterator[TokenBatch]:
        """Yield the batches from number `first` on."""
        ...


@dataclass(frozen=True)
class ProceduralSource:
    """Pairs rendered as they are needed, none of them twice."""

    model: SSVP
    device: torch.device
    steps: int
    batch_size: int
    seed: int
    workers: int

    @property
    def description(self) -> dict[str, str | int]:
        """Name the generator and count the images."""
        return {"data": PROCEDURAL, "images": self.steps * self.batch_size}

    def batches(self, first: int) -> Iterator[TokenBatch]:
        """Render batches and run the towers on them."""
        config = self.model.config
        stream = StreamConfig(
            seed=self.seed + STREAM_OFFSET,
            size_px=max(config.clip_size_px, config.dino_size_px),
            pairs_per_batch=self.batch_size // 2,
            first_pair=first * (self.batch_size // 2),
            batches=self.steps - first,
            workers=self.workers,
        )
        for batch in procedural_images(stream, config):
            yield tokens_of(self.model, batch, self.device)


@dataclass(frozen=True)
class ManifestSource:
    """The rows of a manifest, in a new order each epoch; from the cache where one is given."""

    model: SSVP
    device: torch.device
    rows: Sequence[ManifestRow]
    order: Sequence[Sequence[int]]
    workers: int
    cache: TokenCache | None = None

    @property
    def steps(self) -> int:
        """As many as the order has batches."""
        return len(self.order)

    @property
    def description(self) -> dict[str, str | int]:
        """Name the data sets, count their images and how many were shown in all, tell the rows from others."""
        names = ", ".join(sorted({r.dataset for r in self.rows}))
        shown = sum(len(batch) for batch in self.order)
        digest = rows_digest(self.rows)
        return {"data": names, "images_in_set": len(self.rows), "images": shown, "rows": digest}

    def batches(self, first: int) -> Iterator[TokenBatch]:
        """Read batches, running the towers unless the cache has their tokens."""
        order = self.order[first:]
        if self.cache is not None:
            for batch in order:
                yield self.cache.read([self.rows[i] for i in batch])
            return
        for images in manifest_images(self.rows, order, self.model.config, self.workers):
            yield tokens_of(self.model, images, self.device)


def epoch_order(rows: int, batch_size: int, epochs: int, seed: int) -> list[list[int]]:
    """Return the rows' numbers batch by batch, shuffled anew each epoch; an epoch's last batch may be short."""
    order = []
    for epoch in range(epochs):
        generator = torch.Generator().manual_seed(seed_of(seed, epoch))
        shuffled = torch.randperm(rows, generator=generator).tolist()
        order += [shuffled[i : i + batch_size] for i in range(0, rows, batch_size)]
    return order
