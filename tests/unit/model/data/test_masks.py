"""Masks on a grid of cells."""

import torch

from model.data.masks import cell_mask


def test_cell_mask_keeps_the_smallest_defect() -> None:
    """A one-pixel defect still marks one cell; an empty mask marks none."""
    mask = torch.zeros(3, 64, 64, dtype=torch.bool)
    mask[0, 5, 9] = True
    mask[1, :32] = True
    coarse = cell_mask(mask, 8)
    assert coarse[0].sum() == 1
    assert coarse[0, 0, 1] == 1
    assert coarse[1].sum() == 32
    assert coarse[2].sum() == 0
