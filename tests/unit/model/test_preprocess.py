"""preprocess: one way from pixels to tower input."""

import numpy as np
import pytest
import torch
from PIL import Image

from model.config import SSVP_NANO
from model.preprocess import collate, preprocess
from tests.configs import TINY_VIT

# Pillow and torch both resample in fixed point; they may differ in the last bit or two.
ROUNDING = 2


def _picture(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("height", "width"), [(120, 400), (40, 30), (1, 1), (256, 256), (90, 56), (56, 90)]
)
def test_preprocess_agrees_with_pillows_bicubic(height: int, width: int) -> None:
    """Each tower's input is Pillow's antialiased bicubic squash of the original pixels."""
    picture = _picture(height, width)
    images = preprocess(picture, TINY_VIT)
    for tensor, size in ((images.clip, 56), (images.dino, 64)):
        expected = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
        found = tensor[0].permute(1, 2, 0).numpy().astype(int)
        assert np.abs(found - np.asarray(expected).astype(int)).max() <= ROUNDING


def test_each_tower_is_given_the_original_pixels() -> None:
    """Not the other tower's resized image, in which a hair's width may be gone (D13)."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    images = preprocess(noise, TINY_VIT)
    for tensor, size in ((images.clip, 56), (images.dino, 64)):
        expected = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
        found = tensor[0].permute(1, 2, 0).numpy().astype(int)
        assert np.abs(found - np.asarray(expected).astype(int)).max() <= ROUNDING


@pytest.mark.parametrize("side", [56, 64])
def test_a_mirrored_picture_is_read_as_it_is_seen(side: int) -> None:
    """A view that runs backwards in memory, and one that no tower resizes: both leave in order."""
    picture = _picture(side, side)
    mirrored = picture.copy()[:, ::-1]  # writable, or it would be copied in any case
    images = preprocess(mirrored, TINY_VIT)
    same = preprocess(mirrored.copy(), TINY_VIT)
    assert torch.equal(images.clip, same.clip)
    assert torch.equal(images.dino, same.dino)
    assert images.clip.is_contiguous()
    assert images.dino.is_contiguous()


def test_preprocess_of_equal_sizes_shares_one_tensor() -> None:
    """Towers of one input size are given the same memory."""
    images = preprocess(_picture(300, 200), SSVP_NANO)
    assert images.clip is images.dino
    joined = collate([images, images])
    assert joined.clip is joined.dino
    assert joined.clip.shape == (2, 3, 256, 256)


def test_collate_keeps_order_and_sizes() -> None:
    """Batches of two towers are joined in order."""
    first, second = (preprocess(_picture(80, w), TINY_VIT) for w in (60, 90))
    joined = collate([first, second])
    assert torch.equal(joined.clip[1:], second.clip)
    assert torch.equal(joined.dino[:1], first.dino)


def test_pinned_images_are_the_same_and_without_a_gpu_where_they_were() -> None:
    """Pixels and sharing stay; a machine that has no GPU to pin for goes on with what it has."""
    for config in (TINY_VIT, SSVP_NANO):
        images = preprocess(_picture(80, 60), config)
        pinned = images.pinned()
        assert pinned.clip.is_pinned() == pinned.dino.is_pinned() == torch.cuda.is_available()
        assert torch.equal(pinned.clip, images.clip)
        assert torch.equal(pinned.dino, images.dino)
        assert (pinned.clip is pinned.dino) == (images.clip is images.dino)


def test_images_of_both_towers_go_to_the_device_once_where_they_are_one() -> None:
    """Each tower gets its own pixels there; what was shared still is."""
    device = torch.device("meta")  # has shapes alone, and is not where the images are
    for config in (TINY_VIT, SSVP_NANO):
        images = preprocess(_picture(80, 60), config)
        there = images.to(device)
        assert there.clip.device == there.dino.device == device
        assert (there.clip.shape, there.dino.shape) == (images.clip.shape, images.dino.shape)
        assert (there.clip is there.dino) == (images.clip is images.dino)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (1, 4, 4, 3)])
def test_preprocess_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    """Anything but uint8 RGB is refused."""
    with pytest.raises(ValueError, match="uint8"):
        preprocess(np.zeros(shape, dtype=np.uint8), TINY_VIT)
    with pytest.raises(ValueError, match="float64"):
        preprocess(np.zeros((4, 4, 3)), TINY_VIT)  # type: ignore[arg-type]
