"""Masks on a grid of cells. Knows no tower and no loss."""

from torch import Tensor
from torch.nn import functional as F

# Of a mask or map for each cell of the patch grid, a side: fine enough for the interpolated map, cheap enough
# for a CPU.
TARGET_CELLS = 4


def cell_mask(mask: Tensor, cells: int) -> Tensor:
    """Return bool `[B, H, W]` masks as floats `[B, cells, cells]`: 1 where a third of the cell is anomalous.

    A defect smaller than that still marks the cell it covers most.
    """
    covered = F.adaptive_avg_pool2d(mask[:, None].float(), cells)[:, 0]  # [B, c, c]
    peak = covered.flatten(1).amax(dim=1)[:, None, None]
    return ((covered >= peak.clamp(max=1 / 3)) & (peak > 0.0)).float()
