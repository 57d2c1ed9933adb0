"""Tokens kept on disk: the same as those computed as they come, and never another image's or tower's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from model import tokens
from model.assembly import SSVP
from model.data.images import manifest_images
from model.data.row import ManifestRow
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


def test_a_model_without_dino_keeps_none(rows: list[ManifestRow], tmp_path: Path) -> None:
    """CLIP alone goes to disk and comes back."""
    model = SSVP(replace(TINY_VIT, fusion="none"))
    cache = TokenCache(tmp_path / "cache", model, CPU)
    cache.fill(rows, _ignore)
    assert cache.read(rows).dino is None
