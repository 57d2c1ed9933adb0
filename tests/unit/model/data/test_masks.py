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


def test_a_cell_is_anomalous_from_a_third_on() -> None:
    """Of cells of 64 pixels those with 64 and 24 are, one with 16 is not: beside them it is an edge."""
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, :8, :8] = mask[0, 16:24, 16:19] = mask[0, 32:40, 32:34] = True
    assert cell_mask(mask, 8)[0].nonzero().tolist() == [[0, 0], [2, 2]]
