"""Where batches come from: each row as often as asked, and the same batches after a stop."""

from pathlib import Path

import pytest
import torch

from model.data.manifest import open_data
from model.data.render import render_training
from model.data.row import ManifestRow
from model.sources import ManifestSource, ProceduralSource, Source, epoch_order
from model.ssvp.model import SSVP
from model.tokens import TokenCache
from tests.configs import TINY_VIT

CPU = torch.device("cpu")


def _ignore(done: int, total: int) -> None:
    """Take a progress report and do nothing with it."""


def rows_of(folder: Path) -> list[ManifestRow]:
    """Render four pairs and list them."""
    render_training(folder, 4, 64, 1, _ignore)
    return open_data(folder)


@pytest.fixture(params=["procedural", "manifest", "cached"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Return one source of each kind, four batches of four images."""
    torch.manual_seed(0)
    model = SSVP(TINY_VIT)
    if request.param == "procedural":
        return ProceduralSource(model, CPU, steps=4, batch_size=4, seed=1, workers=0)
    rows = rows_of(tmp_path / "data")
    cache = None
    if request.param == "cached":
        cache = TokenCache(tmp_path / "cache", model, CPU)
        cache.fill(rows, _ignore)
    return ManifestSource(model, CPU, rows, epoch_order(8, 4, 2, seed=1), 0, cache)


def test_batches_after_a_stop_are_those_that_were_left(source: Source) -> None:
    """Starting at batch 2 gives the very batches that a run from the start sees from there on."""
    whole, rest = list(source.batches(0)), list(source.batches(2))
    assert len(whole) == source.steps == 4
    assert len(rest) == 2
    for one, other in zip(whole[2:], rest, strict=True):
        assert one.products == other.products
        assert torch.equal(one.masks, other.masks)
        assert torch.equal(one.clip.patch_tokens[0], other.clip.patch_tokens[0])


def test_masks_mark_the_anomalous_images(source: Source) -> None:
    """Every batch of pairs holds as many masks with a defect as without; a source counts its images."""
    marked = sum(int(b.masks.flatten(1).any(dim=1).sum()) for b in source.batches(0))
    assert marked == 8
    assert source.description["images"] == 16
