"""What pretraining asks of the towers, held against values counted by hand."""

import numpy as np
import pytest
import torch

from model.pretrain_objective import (
    CellTargets,
    cell_targets,
    contrastive_loss,
    dense_loss,
    image_loss,
)


def test_captions_of_the_same_state_are_equally_right() -> None:
    """Two images of one state may match either caption: confusing them costs nothing extra."""
    states = ["nut|None", "nut|None", "nut|scratch"]
    sure = torch.tensor([[9.0, 9.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    swapped = sure[[1, 0, 2]]
    assert float(contrastive_loss(sure, states)) == pytest.approx(
        float(contrastive_loss(swapped, states))
    )
    wrong = sure[[2, 1, 0]]
    assert float(contrastive_loss(wrong, states)) > float(contrastive_loss(sure, states)) + 1.0


def test_cells_are_anomalous_where_a_line_could_cross_them_and_neither_where_a_defect_grazes() -> (
    None
):
    """Of 4 px cells: three quarters covered, a line through, one pixel of 16, nothing."""
    mask = torch.zeros(2, 8, 8, dtype=torch.bool)
    mask[0, :4, :3] = True
    mask[0, 4:, 1] = True
    mask[0, 0, 4] = True
    found = cell_targets(mask, 2)
    assert found.anomalous.tolist() == [[1.0, 0.0, 1.0, 0.0], [0.0] * 4]
    assert found.normal.tolist() == [[0.0, 0.0, 0.0, 1.0], [1.0] * 4]


def test_the_smallest_defect_still_marks_the_cell_it_covers_most() -> None:
    """One pixel is less than a line across a cell, but the image is not without a defect."""
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 5, 6] = True
    assert cell_targets(mask, 2).anomalous.tolist() == [[0.0, 0.0, 0.0, 1.0]]


def test_each_defect_counts_alike_and_all_of_them_like_all_normal_cells() -> None:
    """By hand: missing a defect of one cell costs what missing one of four does."""
    anomalous = torch.zeros(2, 100)
    anomalous[0, 0] = 1.0
    anomalous[1, :4] = 1.0
    targets = CellTargets(anomalous, 1.0 - anomalous)
    logits = torch.full((2, 100, 3), 2.0) * (2.0 * anomalous - 1.0)[..., None]
    right, wrong = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    assert float(dense_loss(logits, targets)) == pytest.approx(right, rel=1e-5)
    for image, cells in ((0, 1), (1, 4)):
        missed = logits.clone()
        missed[image, :cells] = -2.0
        expected = 0.5 * (0.5 * (right + wrong) + right)
        assert float(dense_loss(missed, targets)) == pytest.approx(expected, rel=1e-5)


def test_image_loss_judges_the_worst_cells_and_the_order_of_twins() -> None:
    """By hand: three worst cells of 2 and 0 give log-odds 2 and 0, in order; swapped they cost more."""
    maps = torch.full((2, 6, 5), -9.0)
    maps[0, :3], maps[1, :3] = 0.0, 2.0
    label = torch.tensor([0.0, 1.0])
    judged = 0.5 * (np.log(2.0) + np.log1p(np.exp(-2.0)))
    expected = judged + np.log1p(np.exp(-2.0))
    assert float(image_loss(maps, label)) == pytest.approx(expected, rel=1e-5)
    assert float(image_loss(maps.flip(0), label)) > expected + 2.0
