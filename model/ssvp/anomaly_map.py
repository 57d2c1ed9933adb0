"""From the grid to the anomaly map: bilinear upsampling and a Gaussian, exactly and in two products (D14).

Knows maps and pixels; knows neither tokens nor scores.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def upsample_and_smooth_matrix(grid: int, size_px: int, sigma_px: float) -> Tensor:
    """Return the `[size_px, grid]` matrix that interpolates bilinearly, then blurs with a Gaussian.

    Both are linear and separable, so map = U @ grid_map @ U^T does them at once and exactly. The Gaussian is
    cut at four sigma and mirrors the edge pixel too (symmetric padding, D14).
    """
    identity = torch.eye(grid, dtype=torch.float64)
    up = F.interpolate(identity[None], size=size_px, mode="linear", align_corners=False)[0].T
    if sigma_px <= 0.0:
        return up.float()
    radius = math.ceil(4.0 * sigma_px)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma_px).square())
    kernel = kernel / kernel.sum()
    source = torch.arange(size_px)[:, None] + torch.arange(-radius, radius + 1)[None]
    source = source % (2 * size_px)
    source = torch.where(source >= size_px, 2 * size_px - 1 - source, source)  # mirrored index
    blur = torch.zeros(size_px, size_px, dtype=torch.float64)
    blur.scatter_add_(1, source, kernel.expand_as(source))
    return (blur @ up).float()


class AnomalyMap(nn.Module):
    """Upsample and smooth grid maps `[B, N]` to `[B, size_px, size_px]`."""

    upsample: Tensor

    def __init__(self, grid: int, size_px: int, sigma_px: float) -> None:
        super().__init__()
        self.grid = grid
        matrix = upsample_and_smooth_matrix(grid, size_px, sigma_px)
        self.register_buffer("upsample", matrix, persistent=False)

    def forward(self, grid_map: Tensor) -> Tensor:
        """Return the map at full size."""
        square = grid_map.unflatten(-1, (self.grid, self.grid))  # [B, g, g]
        result: Tensor = self.upsample @ square @ self.upsample.T
        return result
