"""The context expert (D16, ours): whether a cell's rarity is a defect, read from what lies around it.

Knows tokens and distances of one grid; knows neither towers nor text. A cell by itself cannot tell the edge of
a part from a crack: the edge goes on next to it, or has its mirror image across the part.
"""

import torch
from torch import Tensor, nn

KERNEL = 5  # three layers of it see thirteen cells


class _ContextLayer(nn.Module):
    """Add to each cell what its neighbours and the image as a whole say, then think it over."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.whole = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, width),
        )

    def forward(self, cells: Tensor, grid: int) -> Tensor:
        """Map `[B, N, D]` to the same shape."""
        square = cells.transpose(1, 2).unflatten(-1, (grid, grid))  # [B, D, g, g]
        near = self.near(square).flatten(2).transpose(1, 2)  # [B, N, D]
        cells = cells + near + self.whole(cells.mean(dim=1, keepdim=True))
        thought: Tensor = cells + self.mlp(cells)
        return thought


class ContextExpert(nn.Module):
    """Correct the distances' log-odds, from all levels' tokens and distances together.

    Args:
        token_widths: channels of each level's tokens, both towers' side by side.
        fact_width: what is read of the distances at each level.
        width: channels of the layers.
        layers: how many.
        grid: cells a side.
    """

    def __init__(
        self, token_widths: tuple[int, ...], fact_width: int, width: int, layers: int, grid: int
    ) -> None:
        super().__init__()
        self.grid = grid
        self.embed = nn.ModuleList(nn.Linear(w + fact_width, width) for w in token_widths)
        self.layers = nn.ModuleList(_ContextLayer(width) for _ in range(layers))
        self.read = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, levels: tuple[Tensor, ...], facts: Tensor) -> Tensor:
        """Return log-odds `[B, N, 1]`, to be added to the distances' own.

        Args:
            levels: tokens of each level, `[B, N, C_l]`.
            facts: of each level, `[L, B, N, F]`.
        """
        pairs = zip(self.embed, levels, facts, strict=True)
        cells = torch.stack([e(torch.cat([t, f], dim=-1)) for e, t, f in pairs]).sum(dim=0)
        for layer in self.layers:
            cells = layer(cells, self.grid)
        logits: Tensor = self.read(cells)
        return logits
