"""What a tower answers, and how feature maps of any size become tokens of the common grid.

Knows feature maps and grids; knows no tower.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class TowerFeatures:
    """Eq. 1 for one tower.

    Attributes:
        class_token: `[B, C]`, one vector for the image.
        patch_tokens: one `[B, N, C_l]` per level, N = grid * grid, row by row.
    """

    class_token: Tensor
    patch_tokens: tuple[Tensor, ...]

    def float(self) -> "TowerFeatures":
        """Return the same in fp32, the precision of the heads."""
        return TowerFeatures(self.class_token.float(), tuple(t.float() for t in self.patch_tokens))

    def half(self) -> "TowerFeatures":
        """Return the same in fp16."""
        return TowerFeatures(self.class_token.half(), tuple(t.half() for t in self.patch_tokens))


class Normalise(nn.Module):
    """Turn uint8 pixels into a tower's input: x / 255, then (x - mean) / std per channel.

    Attributes:
        dtype: of the result, the precision of the tower's weights; the arithmetic itself is in fp32.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.dtype = torch.float32
        # Not persistent: the config holds them, a weights file must not contradict it.
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 `[B, 3, S, S]` to floating point of the same shape."""
        return ((images.to(self.mean.dtype) / 255.0 - self.mean) / self.std).to(self.dtype)


def token_width(channels: int, side: int, grid: int) -> int:
    """Return how wide `tokens_on_grid` makes the tokens of a map of `side` cells with `channels` channels."""
    return 2 * channels if side > grid else channels


def tokens_on_grid(feature_map: Tensor, grid: int) -> Tensor:
    """Resample `[B, C, h, w]` to the grid and return tokens `[B, grid * grid, token_width]`, layer-normalised.

    A map finer than the grid gives each cell its mean and its maximum, side by side: a scratch that crosses a
    cell would drown in the mean alone. A coarser map is interpolated. The normalisation has no parameters: it
    puts stages of very different scale on one footing, as ln_post does for a ViT.
    """
    if feature_map.shape[-1] > grid:
        mean = F.adaptive_avg_pool2d(feature_map, grid)
        peak = F.adaptive_max_pool2d(feature_map, grid)
        feature_map = torch.cat([mean, peak], dim=1)
    elif feature_map.shape[-1] < grid:
        feature_map = F.interpolate(feature_map, (grid, grid), mode="bilinear", align_corners=False)
    tokens = feature_map.flatten(2).transpose(1, 2)  # [B, N, C]
    return F.layer_norm(tokens, tokens.shape[-1:])
