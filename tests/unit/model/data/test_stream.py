"""The stream of training batches: the same pairs however many processes and workers render them."""

from dataclasses import replace

import torch

from model.data.stream import StreamConfig, batches

STREAM = StreamConfig(seed=3, size_px=32, pairs_per_batch=4, first_pair=8, batches=2, workers=0)


def test_parts_together_are_the_whole() -> None:
    """Two parts of every batch, laid one after the other, are the batch of one process."""
    whole = list(batches(STREAM))
    first = list(batches(replace(STREAM, part=0, parts=2)))
    second = list(batches(replace(STREAM, part=1, parts=2)))
    assert len(whole) == len(first) == len(second) == 2
    for batch, a, b in zip(whole, first, second, strict=True):
        assert torch.equal(batch.images, torch.cat([a.images, b.images]))
        assert batch.captions == a.captions + b.captions


def test_a_stream_goes_on_where_another_ended() -> None:
    """Starting one batch later gives what the longer stream's second batch is."""
    later = next(iter(batches(replace(STREAM, first_pair=12, batches=1))))
    assert torch.equal(later.images, list(batches(STREAM))[1].images)


def test_workers_render_the_same_pairs() -> None:
    """Another process renders what this one would."""
    here, there = (list(batches(replace(STREAM, workers=w))) for w in (0, 1))
    assert all(torch.equal(a.images, b.images) for a, b in zip(here, there, strict=True))
