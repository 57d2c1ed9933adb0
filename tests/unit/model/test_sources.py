"""Where batches come from: each row as often as asked, and the same batches after a stop."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from model.assembly import SSVP
from model.data.manifest import open_data, rows_digest, write_manifest_rows
from model.data.row import DataLayoutError
from model.sources import ManifestSource, ProceduralSource, Source, epoch_order
from model.tokens import TokenCache
from model.training import labelled_rows
from tests.configs import TINY_VIT
from tests.miniature import rows_of

CPU = torch.device("cpu")


def _ignore(done: int, total: int) -> None:
    """Take a progress report and do nothing with it."""


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


def test_rows_are_told_from_others_wherever_they_lie(tmp_path: Path) -> None:
    """A moved data set is the same; another order, name, label or picture makes another."""
    rows = rows_of(tmp_path / "data")
    digest = rows_digest(rows)
    shutil.copytree(tmp_path / "data", tmp_path / "elsewhere" / "data")
    assert rows_digest(open_data(tmp_path / "elsewhere" / "data")) == digest
    assert rows_digest(rows[::-1]) != digest
    assert rows_digest([replace(rows[0], product="x"), *rows[1:]]) != digest
    assert rows_digest([replace(rows[0], mask=rows[0].image), *rows[1:]]) != digest
    rows[0].image.write_bytes(b"another")
    assert rows_digest(rows) != digest


def test_masks_that_mark_nothing_are_not_learned_as_good_parts(tmp_path: Path) -> None:
    """An annotator's empty mask stops the training before it begins, and is named."""
    rows = rows_of(tmp_path / "data")
    manifest = tmp_path / "set.jsonl"
    write_manifest_rows(rows, manifest)
    assert labelled_rows(manifest, "test") == rows
    mask = next(r.mask for r in rows if r.mask is not None)
    Image.new("L", (64, 64)).save(mask)
    with pytest.raises(DataLayoutError, match=f"1 masks .* mark nothing, the first is {mask}"):
        labelled_rows(manifest, "test")


def test_masks_mark_the_anomalous_images(source: Source) -> None:
    """Every batch of pairs holds as many masks with a defect as without; a source counts its images."""
    marked = sum(int(b.masks.flatten(1).any(dim=1).sum()) for b in source.batches(0))
    assert marked == 8
    assert source.description["images"] == 16
