"""The paper's training objective, term by term (eqs. 9, 12, 20-22).

Knows the heads' outputs and the ground truth; knows neither optimisers nor data sets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model.data.masks import TARGET_CELLS, cell_mask
from model.ssvp.heads import HeadOutputs
from model.ssvp.vcpg import PromptRefinement

EPSILON = 1e-6


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; the defaults are the paper's, our own additions default to off.

    Attributes:
        focal_gamma: focusing exponent of the focal loss.
        focal_mixed: of the focal loss on P_map, which Algorithm 3 asks for (D4).
        focal_levels: of the focal loss on the single maps, which the text asks for (D4).
        kl: beta of eq. 9.
        vae: lambda1 of eq. 22.
        margin: lambda2 of eq. 22.
        margin_xi: xi of eq. 12.
        dice: Dice loss on P_map, the field's habit, not the paper's (D4).
        ranking: an anomalous image must score above its normal twin; needs paired batches (D18).
        balanced: let anomalous and normal pixels count half each in the focal loss; without features as good
            as CLIP's, the few anomalous ones are never learned.
    """

    focal_gamma: float = 2.0
    focal_mixed: float = 1.0
    focal_levels: float = 1.0
    kl: float = 0.1
    vae: float = 1.0
    margin: float = 0.5
    margin_xi: float = 0.85
    dice: float = 0.0
    ranking: float = 0.0
    balanced: bool = False


@dataclass(frozen=True, eq=False)
class Losses:
    """Every term as a scalar tensor, unweighted, and the weighted total."""

    focal: Tensor
    image: Tensor
    vae: Tensor
    margin: Tensor
    dice: Tensor
    ranking: Tensor
    total: Tensor


def focal_loss(
    probability: Tensor, target: Tensor, gamma: float, *, balanced: bool = False
) -> Tensor:
    """Return the mean of -(1 - p_t)^gamma log p_t (eq. 20); both arguments of one shape, values in [0, 1].

    Balanced, it is the mean of the means over anomalous and over normal pixels.
    """
    p_true = torch.where(target > 0.5, probability, 1.0 - probability).clamp(EPSILON, 1.0)
    loss = -((1.0 - p_true) ** gamma) * p_true.log()
    return class_balanced_mean(loss, target) if balanced else loss.mean()


def class_balanced_mean(loss: Tensor, target: Tensor) -> Tensor:
    """Return the mean loss where the target is 1 and where it is 0, each counting half."""
    anomalous = (loss * target).sum() / target.sum().clamp_min(1.0)
    normal = (loss * (1.0 - target)).sum() / (1.0 - target).sum().clamp_min(1.0)
    return 0.5 * (anomalous + normal)


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Return 1 - 2 |P * T| / (|P| + |T|), the mean over images that have a defect; 0 where none has."""
    intersection = (probability * target).flatten(1).sum(dim=1)
    area = probability.flatten(1).sum(dim=1) + target.flatten(1).sum(dim=1)
    anomalous = target.flatten(1).amax(dim=1)
    loss = 1.0 - (2.0 * intersection + 1.0) / (area + 1.0)
    return (loss * anomalous).sum() / anomalous.sum().clamp_min(1.0)


def image_loss(score: Tensor, label: Tensor) -> Tensor:
    """Return the binary cross-entropy of S_final, which is a probability already (eq. 21, D2)."""
    return F.binary_cross_entropy(score.float().clamp(EPSILON, 1.0 - EPSILON), label.float())


def vae_loss(refinement: PromptRefinement, kl_weight: float) -> Tensor:
    """Return eq. 9 with means instead of sums (D6): reconstruction + beta * KL(q(z) || N(0, I))."""
    reconstruction = F.mse_loss(refinement.reconstruction, refinement.target)
    mean, log_variance = refinement.mean, refinement.log_variance
    kl = -0.5 * (1.0 + log_variance - mean.square() - log_variance.exp()).mean()
    return reconstruction + kl_weight * kl


def margin_loss(text: Tensor, initial: Tensor, xi: float) -> Tensor:
    """Return max(0, xi - cos(T_final, T_init)), T_init without gradient (eq. 12)."""
    cosine = F.cosine_similarity(text, initial.detach(), dim=-1)
    return (xi - cosine).clamp_min(0.0).mean()


def ranking_loss(score: Tensor, label: Tensor) -> Tensor:
    """Return a soft hinge on pairs that stand next to each other, one normal and one anomalous image each."""
    pairs = score.view(-1, 2)
    sign = torch.where(label.view(-1, 2)[:, 1] > 0.5, 1.0, -1.0)
    return F.softplus(-8.0 * sign * (pairs[:, 1] - pairs[:, 0])).mean()


def ssvp_losses(
    outputs: HeadOutputs, initial_text: Tensor, mask: Tensor, grid: int, weights: LossWeights
) -> Losses:
    """Compute eq. 22 for one batch.

    Args:
        outputs: of the heads in training mode.
        initial_text: T_init `[B, P, D]`.
        mask: bool `[B, H, W]`; an image without a True is normal.
        grid: side of the patch grid.
        weights: of the terms.
    """
    scores = outputs.scores
    label = mask.flatten(1).any(dim=1).float()
    size = TARGET_CELLS * grid

    def upsample(maps: Tensor) -> Tensor:
        square = maps.unflatten(-1, (grid, grid))  # [B, E, g, g]
        return F.interpolate(square, (size, size), mode="bilinear", align_corners=False)

    target = cell_mask(mask, size)
    experts = upsample(scores.expert_maps.float())  # [B, E, s, s]
    mixed = upsample(scores.grid_map.float()[:, None])[:, 0]  # [B, s, s]
    focal_mixed, focal_levels = (
        focal_loss(maps, truth, weights.focal_gamma, balanced=weights.balanced)
        for maps, truth in ((mixed, target), (experts, target[:, None].expand_as(experts)))
    )
    focal = weights.focal_mixed * focal_mixed + weights.focal_levels * focal_levels
    image = image_loss(scores.score, label)
    zero = focal.new_zeros(())
    vae = margin = zero
    if outputs.refinement is not None:
        vae = vae_loss(outputs.refinement, weights.kl)
        margin = margin_loss(outputs.text, initial_text, weights.margin_xi)
    dice = dice_loss(mixed, target) if weights.dice else zero
    ranking = ranking_loss(scores.score, label) if weights.ranking else zero
    total = (
        focal
        + image
        + weights.vae * vae
        + weights.margin * margin
        + weights.dice * dice
        + weights.ranking * ranking
    )
    return Losses(focal, image, vae, margin, dice, ranking, total)
