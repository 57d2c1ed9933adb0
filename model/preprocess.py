"""The one way an image becomes tower input (D13), in training, evaluation and serving alike.

Knows pixels; knows neither towers nor devices. Normalisation by mean and standard deviation is part of
each tower, so that what travels to the device is one byte a channel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.config import SSVPConfig


@dataclass(frozen=True, eq=False)
class TowerImages:
    """The same pictures at each tower's size, uint8 RGB.

    Attributes:
        clip: `[B, 3, Sc, Sc]`.
        dino: `[B, 3, Sd, Sd]`; the same tensor as `clip` where the sizes agree.
    """

    clip: Tensor
    dino: Tensor

    def pinned(self) -> "TowerImages":
        """Return them in page-locked memory, from which a GPU fetches while the host goes on.

        As they are where none is left, or where there is no GPU: they can be copied to a device all the same.
        """
        try:
            return self._each(Tensor.pin_memory)
        except RuntimeError:
            return self

    def to(self, device: torch.device) -> "TowerImages":
        """Copy to a device, once where both towers share their input; waits only for what is not pinned."""
        return self._each(lambda images: images.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "TowerImages":
        clip = change(self.clip)
        return TowerImages(clip, clip if self.dino is self.clip else change(self.dino))


def squash(image: Tensor, size_px: int) -> Tensor:
    """Resize uint8 `[B, 3, H, W]` to a square, ignoring the aspect ratio: bicubic, antialiased."""
    if image.shape[-2:] == (size_px, size_px):
        return image
    return F.interpolate(image, (size_px, size_px), mode="bicubic", antialias=True)


def tower_images(pixels: Tensor, config: SSVPConfig) -> TowerImages:
    """Resize uint8 `[B, 3, H, W]` from the original pixels, once per tower."""
    clip = squash(pixels, config.clip_size_px).contiguous()
    if config.dino_size_px == config.clip_size_px:
        return TowerImages(clip, clip)
    return TowerImages(clip, squash(pixels, config.dino_size_px).contiguous())


def preprocess(image: NDArray[np.uint8], config: SSVPConfig) -> TowerImages:
    """Resize one RGB image from its original pixels to each tower's size.

    Args:
        image: uint8 `[H, W, 3]`, any size.
        config: gives the sizes.

    Returns:
        A batch of one.

    Raises:
        ValueError: when the array is not uint8 `[H, W, 3]`.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    owned = np.require(image, requirements=["C", "W"])  # torch takes no read-only memory
    pixels = torch.from_numpy(owned).permute(2, 0, 1)[None]  # [1, 3, H, W]
    return tower_images(pixels, config)


def collate(images: list[TowerImages]) -> TowerImages:
    """Join batches along the batch axis."""
    clip = torch.cat([i.clip for i in images])
    if all(i.dino is i.clip for i in images):
        return TowerImages(clip, clip)
    return TowerImages(clip, torch.cat([i.dino for i in images]))
