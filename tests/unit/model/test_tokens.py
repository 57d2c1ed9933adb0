"""Tokens kept on disk: the same as those computed as they come, and never another image's or tower's."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from model import tokens
from model.assembly import SSVP
from model.data.images import manifest_images
from model.data.row import ManifestRow
from model.preprocess import TowerImages
from model.tokens import TokenCache, tokens_of
from tests.configs import TINY_VIT
from tests.miniature import rows_of

CPU = torch.device("cpu")
HALF = 2e-3  # fp16 on disk of tokens of order one


def _ignore(done: int, total: int) -> None:
    """Take a progress report and do nothing with it."""


@pytest.fixture(scope="module")
def model() -> SSVP:
    """Return a tiny model with random towers."""
    torch.manual_seed(0)
    return SSVP(TINY_VIT)


@pytest.fixture
def rows(tmp_path: Path) -> list[ManifestRow]:
    """Return eight rows with their files."""
    return rows_of(tmp_path / "data")


def test_cached_tokens_are_the_towers_own(
    model: SSVP, rows: list[ManifestRow], tmp_path: Path
) -> None:
    """A batch read back equals the batch computed, to the precision on disk; masks and names exactly."""
    cache = TokenCache(tmp_path / "cache", model, CPU)
    cache.fill(rows, _ignore)
    numbers = [3, 0, 5]
    found = cache.read([rows[i] for i in numbers])
    images = next(manifest_images(rows, [numbers], TINY_VIT, workers=0))
    expected = tokens_of(model, images, CPU)
    assert found.products == expected.products
    assert torch.equal(found.masks, expected.masks)
    assert found.dino is not None
    assert expected.dino is not None
    for one, other in ((found.clip, expected.clip), (found.dino, expected.dino)):
        torch.testing.assert_close(one.class_token, other.class_token, atol=0.05, rtol=0.05)
        for a, b in zip(one.patch_tokens, other.patch_tokens, strict=True):
            assert float((a - b).abs().mean()) < HALF * 5


def test_towers_run_once_an_image(
    model: SSVP, rows: list[ManifestRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second filling, by another process say, computes nothing."""
    TokenCache(tmp_path / "cache", model, CPU).fill(rows, _ignore)
    monkeypatch.setattr(tokens, "tokens_of", None)  # calling it would fail
    TokenCache(tmp_path / "cache", model, CPU).fill(rows, _ignore)


def test_a_changed_image_has_no_tokens_yet(
    model: SSVP, rows: list[ManifestRow], tmp_path: Path
) -> None:
    """Overwriting an image or taking other towers must not give the old tokens."""
    cache = TokenCache(tmp_path / "cache", model, CPU)
    cache.fill(rows, _ignore)
    Image.new("RGB", (33, 33), (1, 2, 3)).save(rows[0].image)
    with pytest.raises(FileNotFoundError):
        cache.read(rows[:1])
    torch.manual_seed(1)
    other = TokenCache(tmp_path / "cache", SSVP(TINY_VIT), CPU)
    with pytest.raises(FileNotFoundError):
        other.read(rows[1:2])
    smaller = replace(TINY_VIT, clip_blocks=(1, 4))
    torch.manual_seed(0)
    with pytest.raises(FileNotFoundError):
        TokenCache(tmp_path / "cache", SSVP(smaller), CPU).read(rows[1:2])


def _touch(row: ManifestRow, other: Path) -> ManifestRow:
    os.utime(row.image, ns=(0, 0))
    return row


def _retouch(row: ManifestRow, other: Path) -> ManifestRow:
    assert row.mask is not None
    os.utime(row.mask, ns=(0, 0))
    return row


def _grow(row: ManifestRow, other: Path) -> ManifestRow:
    state = row.image.stat()
    row.image.write_bytes(row.image.read_bytes() + b"x")
    os.utime(row.image, ns=(state.st_atime_ns, state.st_mtime_ns))
    return row


def _copy(row: ManifestRow, other: Path) -> ManifestRow:
    return replace(row, image=Path(shutil.copy2(row.image, other)))


@pytest.mark.parametrize("change", [_touch, _retouch, _grow, _copy])
def test_whatever_may_be_another_image_is_taken_for_one(
    model: SSVP,
    rows: list[ManifestRow],
    tmp_path: Path,
    change: Callable[[ManifestRow, Path], ManifestRow],
) -> None:
    """Another time, of the mask too, another length or another place alone."""
    cache = TokenCache(tmp_path / "cache", model, CPU)
    row = next(row for row in rows if row.mask is not None)
    cache.fill([row], _ignore)
    cache.read([row])
    with pytest.raises(FileNotFoundError):
        cache.read([change(row, tmp_path / "other.png")])


def test_models_share_the_files_of_a_tower_they_share(
    model: SSVP, rows: list[ManifestRow], tmp_path: Path
) -> None:
    """What the config says of one tower is no matter of the other's; the grid is both's."""
    config = replace(TINY_VIT, dino_mean=(0.1, 0.2, 0.3))
    other = SSVP(config, model.clip, model.dino)
    ours, theirs = (TokenCache(tmp_path, m, CPU)._paths(rows[0]) for m in (model, other))
    assert ours["clip"] == theirs["clip"]
    assert ours["dino"] != theirs["dino"]
    other.config = replace(TINY_VIT, grid=8)
    theirs = TokenCache(tmp_path, other, CPU)._paths(rows[0])
    assert not set(ours.values()) & set(theirs.values())


def test_a_lost_file_is_made_again_in_half_precision(
    model: SSVP, rows: list[ManifestRow], tmp_path: Path
) -> None:
    """One tower's is enough to run both; all their tokens take two bytes a number, and each row is told of."""
    cache, told = TokenCache(tmp_path / "cache", model, CPU), list[tuple[int, int]]()
    cache.fill(rows[:1], _ignore)
    for path in cache._paths(rows[0]).values():
        path.unlink()
        cache.fill(rows[:1], lambda done, total: told.append((done, total)))
        kinds = {tensor.dtype for tensor in load_file(path).values()}
        assert kinds == {torch.float16, torch.bool}
    assert told == [(1, 1)] * 2


@pytest.mark.parametrize("native", [False, True])
def test_towers_run_in_bf16_where_that_is_native(
    model: SSVP, monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    """Their tokens are in fp32 for the heads either way."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": native})
    clip, dino = (torch.full((1, 3, s, s), 90, dtype=torch.uint8) for s in (56, 64))
    images = TowerImages(clip, dino)
    found = tokens.run_towers(model, images, CPU)
    with torch.no_grad():
        plain = model.features(images)
    for one, other in zip(found, plain, strict=True):
        assert one is not None
        assert other is not None
        for a, b in zip(one.patch_tokens, other.patch_tokens, strict=True):
            assert a.dtype == torch.float32
            assert torch.equal(a, b) != native


def test_a_model_without_dino_keeps_none(rows: list[ManifestRow], tmp_path: Path) -> None:
    """CLIP alone goes to disk and comes back."""
    model = SSVP(replace(TINY_VIT, fusion="none"))
    cache = TokenCache(tmp_path / "cache", model, CPU)
    cache.fill(rows, _ignore)
    assert cache.read(rows).dino is None
