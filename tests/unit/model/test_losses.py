"""The objective's terms against hand-computed values."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.assembly import SSVP
from model.config import SSVP_NANO
from model.data.masks import TARGET_CELLS, cell_mask
from model.losses import (
    LossWeights,
    dice_loss,
    focal_loss,
    image_loss,
    margin_loss,
    ranking_loss,
    ssvp_losses,
    vae_loss,
)
from model.preprocess import TowerImages
from model.ssvp.heads import SSVPHeads
from model.ssvp.vcpg import PromptRefinement


def test_focal_loss_equals_its_formula() -> None:
    """The mean of -(1 - p_t)^2 log p_t over two cells, one right and one wrong."""
    probability, target = torch.tensor([0.9, 0.9]), torch.tensor([1.0, 0.0])
    expected = 0.5 * (-(0.1**2) * math.log(0.9) - 0.9**2 * math.log(0.1))
    assert float(focal_loss(probability, target, 2.0)) == pytest.approx(expected, rel=1e-5)


def test_balanced_focal_loss_lets_one_defective_pixel_count_like_all_normal_ones() -> None:
    """By hand: p_t is 0.1 on the only defective of four pixels and 0.9 on the rest."""
    probability, target = torch.full((4,), 0.1), torch.tensor([1.0, 0.0, 0.0, 0.0])
    expected = 0.5 * (-(0.9**2) * math.log(0.1) - 0.1**2 * math.log(0.9))
    found = focal_loss(probability, target, 2.0, balanced=True)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_sure_mistake_costs_no_more_than_a_millionth_allows(balanced: bool) -> None:
    """Its logarithm and its gradient stay finite."""
    probability = torch.tensor([0.0, 1.0], requires_grad=True)
    loss = focal_loss(probability, torch.tensor([1.0, 0.0]), 2.0, balanced=balanced)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-math.log(1e-6), rel=1e-4)
    assert probability.grad is not None
    assert torch.isfinite(probability.grad).all()


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_balanced_focal_loss_of_one_kind_of_pixel_is_half_its_mean(target: float) -> None:
    """Batches without a defect exist: what is missing adds nothing."""
    probability = torch.full((4,), 0.5)
    found = focal_loss(probability, torch.full((4,), target), 2.0, balanced=True)
    assert float(found) == pytest.approx(0.5 * 0.25 * math.log(2.0), rel=1e-5)


def test_image_loss_of_a_sure_normal_image_reaches_zero() -> None:
    """BCE stands on the probability itself: a normal image scored 0 costs nothing (D2)."""
    assert float(image_loss(torch.tensor([0.0]), torch.tensor([0.0]))) < 1e-5
    expected = -math.log(0.25)
    assert float(image_loss(torch.tensor([0.25]), torch.tensor([1.0]))) == pytest.approx(expected)


def test_vae_loss_equals_its_formula() -> None:
    """Mean squared error plus beta times the mean closed-form KL divergence (eq. 9, D6)."""
    refinement = PromptRefinement(
        text=torch.zeros(1, 1, 2),
        mean=torch.tensor([[1.0, 0.0]]),
        log_variance=torch.tensor([[0.0, math.log(2.0)]]),
        target=torch.tensor([[1.0, 0.0]]),
        reconstruction=torch.tensor([[0.0, 0.0]]),
    )
    kl = 0.5 * ((1.0 + 1.0 - 1.0 - 0.0) + (2.0 + 0.0 - 1.0 - math.log(2.0))) / 2
    assert float(vae_loss(refinement, 0.1)) == pytest.approx(0.5 + 0.1 * kl, rel=1e-5)


def test_margin_loss_punishes_only_beyond_the_margin() -> None:
    """Prompts nearer than xi cost nothing, orthogonal ones cost xi (eq. 12)."""
    initial = torch.tensor([[[1.0, 0.0]]])
    assert float(margin_loss(initial * 3.0, initial, 0.85)) == 0.0
    assert float(margin_loss(torch.tensor([[[0.0, 1.0]]]), initial, 0.85)) == pytest.approx(0.85)


def test_margin_loss_is_each_prompts_own_and_leaves_the_initial_ones_alone() -> None:
    """A prompt well within the margin does not make up for another; no gradient reaches T_init."""
    initial = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]], requires_grad=True)
    text = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], requires_grad=True)
    loss = margin_loss(text, initial, 0.85)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.85 / 2)
    assert text.grad is not None
    assert initial.grad is None


def test_dice_loss_of_a_batch_without_a_defect_is_zero() -> None:
    """Nothing is divided by the number of defective images."""
    assert float(dice_loss(torch.rand(2, 8, 8), torch.zeros(2, 8, 8))) == 0.0


def test_dice_loss_ignores_normal_images() -> None:
    """A perfect map costs nothing, a missed one nearly 1, and an image without a defect does not count."""
    target = torch.zeros(2, 8, 8)
    target[0, :4] = 1.0
    assert float(dice_loss(target, target)) == pytest.approx(0.0, abs=1e-6)
    assert float(dice_loss(torch.zeros(2, 8, 8), target)) == pytest.approx(1.0 - 1.0 / 33.0)
    noisy = target.clone()
    noisy[1] = 0.7
    assert float(dice_loss(noisy, target)) == pytest.approx(0.0, abs=1e-6)


def test_ranking_loss_wants_the_defective_twin_above() -> None:
    """A pair in the right order costs less than the same pair swapped."""
    label = torch.tensor([0.0, 1.0])
    right = ranking_loss(torch.tensor([0.2, 0.7]), label)
    wrong = ranking_loss(torch.tensor([0.7, 0.2]), label)
    assert ranking_loss(torch.tensor([0.7, 0.2]), 1.0 - label) == right  # whichever comes first
    assert float(right) == pytest.approx(math.log1p(math.exp(-4.0)), rel=1e-4)
    assert float(wrong) == pytest.approx(math.log1p(math.exp(4.0)), rel=1e-4)


def test_ranking_loss_pairs_neighbours() -> None:
    """The first image with the second, the third with the fourth."""
    found = ranking_loss(torch.tensor([0.2, 0.7, 0.9, 0.1]), torch.tensor([0.0, 1.0, 1.0, 0.0]))
    expected = 0.5 * (math.log1p(math.exp(-4.0)) + math.log1p(math.exp(-6.4)))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_our_own_terms_are_off_by_default() -> None:
    """The defaults are the paper's: both focal losses alike, its exponent, and no other term (D4, D18)."""
    found = LossWeights()
    assert (found.focal_gamma, found.focal_mixed, found.focal_levels) == (2.0, 1.0, 1.0)
    assert (found.dice, found.ranking, found.balanced) == (0.0, 0.0, False)


def _outputs_and_losses(weights: LossWeights) -> tuple[SSVP, dict[str, float]]:
    torch.manual_seed(0)
    model = SSVP(SSVP_NANO).train()
    images = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    mask = torch.zeros(2, 256, 256, dtype=torch.bool)
    mask[1, 40:90, 40:90] = True
    outputs = model(TowerImages(images, images), ["nut", "nut"])
    losses = ssvp_losses(outputs, model.text_bank(["nut", "nut"]), mask, SSVP_NANO.grid, weights)
    losses.total.backward()
    names = ("focal", "image", "vae", "margin", "dice", "ranking", "total")
    return model, {n: float(getattr(losses, n).detach()) for n in names}


def test_total_is_the_weighted_sum_of_its_terms() -> None:
    """Eq. 22: every term enters with its weight, and one of weight 0 is not computed."""
    weights = LossWeights(vae=2.0, margin=0.25, dice=0.5)
    _, value = _outputs_and_losses(weights)
    expected = (
        value["focal"]
        + value["image"]
        + 2.0 * value["vae"]
        + 0.25 * value["margin"]
        + 0.5 * value["dice"]
    )
    assert value["total"] == pytest.approx(expected, rel=1e-5)
    assert value["ranking"] == 0.0


@pytest.mark.parametrize("balanced", [False, True])
def test_each_term_is_taken_of_its_own_maps_and_scores(balanced: bool) -> None:
    """P_map for the mixed focal loss and Dice, the experts' maps for the levels, each with its parameter."""
    torch.manual_seed(0)
    model, grid = SSVP(SSVP_NANO).train(), SSVP_NANO.grid
    images = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    mask = torch.zeros(2, 256, 256, dtype=torch.bool)
    mask[1, 40:90, 40:90] = True
    weights = LossWeights(
        focal_gamma=1.5,
        focal_mixed=2.0,
        focal_levels=3.0,
        kl=0.3,
        margin_xi=1.5,
        dice=0.5,
        ranking=0.7,
        balanced=balanced,
    )
    with torch.no_grad():
        outputs, text = (
            model(TowerImages(images, images), ["nut", "nut"]),
            model.text_bank(["nut", "nut"]),
        )
        found = ssvp_losses(outputs, text, mask, grid, weights)
        size = TARGET_CELLS * grid
        target, label = cell_mask(mask, size), torch.tensor([0.0, 1.0])

        def upsampled(maps: Tensor) -> Tensor:
            square = maps.reshape(2, 1, grid, grid)
            return F.interpolate(square, (size, size), mode="bilinear")[:, 0]

        mixed = upsampled(outputs.scores.grid_map)
        experts = [upsampled(maps) for maps in outputs.scores.expert_maps.unbind(dim=1)]
        focal = [focal_loss(maps, target, 1.5, balanced=balanced) for maps in (mixed, *experts)]
        levels = torch.stack(focal[1:]).mean()
        assert outputs.refinement is not None
        expected = {
            "focal": 2.0 * focal[0] + 3.0 * levels,
            "image": image_loss(outputs.scores.score, label),
            "vae": vae_loss(outputs.refinement, 0.3),
            "margin": margin_loss(outputs.text, text, 1.5),
            "dice": dice_loss(mixed, target),
            "ranking": ranking_loss(outputs.scores.score, label),
        }
    for name, value in expected.items():
        assert float(getattr(found, name)) == pytest.approx(float(value), rel=1e-5), name


def test_the_objective_reaches_every_module_but_no_tower() -> None:
    """HSVS, VCPG, rarity, VTAM and the prompts all learn; the towers do not."""
    model, _ = _outputs_and_losses(LossWeights())
    assert isinstance(model.heads, SSVPHeads)
    for module in (
        model.heads.hsvs,
        model.heads.vcpg,
        model.heads.rarity,
        model.heads.vtam,
        model.prompts,
    ):
        assert module is not None
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())
    assert all(p.grad is None for m in model.towers() for p in m.parameters())
