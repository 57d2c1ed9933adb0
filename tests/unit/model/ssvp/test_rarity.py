"""Rarity experts against numpy (D16)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.backbones.features import TowerFeatures
from model.ssvp.rarity import (
    RIDGE,
    RarityExperts,
    build_rarity,
    isolation_map,
    mahalanobis_map,
    neighbour_mask,
    newton_schulz_inverse,
    paired_levels,
)
from tests.configs import MICRO

INVERSE_ERROR = 1e-3  # fp32, fixed number of steps, condition number up to 20 K + 1


def test_newton_schulz_inverts_the_worst_covariance_the_ridge_allows() -> None:
    """A rank-one covariance plus the ridge, the worst condition there is, is inverted."""
    width = 24
    direction = np.random.default_rng(0).normal(size=width)
    matrix = np.outer(direction, direction)
    matrix += RIDGE * np.trace(matrix) / width * np.eye(width)
    inverse = newton_schulz_inverse(torch.tensor(matrix, dtype=torch.float32)[None])[0].numpy()
    assert np.abs(inverse @ matrix - np.eye(width)).max() < INVERSE_ERROR


def test_mahalanobis_map_equals_numpys() -> None:
    """The map is the ridge-regularised Mahalanobis distance of each token to its image, per dimension."""
    tokens = np.random.default_rng(0).normal(size=(2, 64, 6)) * np.array([5, 1, 1, 0.2, 1, 3])
    found = mahalanobis_map(torch.tensor(tokens, dtype=torch.float32)).numpy()
    for image in range(2):
        centred = tokens[image] - tokens[image].mean(axis=0)
        covariance = centred.T @ centred / 64
        covariance += (0.05 * np.trace(covariance) / 6 + 1e-6) * np.eye(6)
        squared = np.einsum("nk,kl,nl->n", centred, np.linalg.inv(covariance), centred)
        np.testing.assert_allclose(found[image], np.sqrt(squared / 6), rtol=1e-3, atol=1e-3)


def test_nearly_uniform_tokens_are_not_blown_up() -> None:
    """A millionth on the covariance and below the root keeps noise small: by numpy, and of no noise at all."""
    tokens = np.random.default_rng(0).normal(size=(1, 64, 6)) * 1e-3
    found = mahalanobis_map(torch.tensor(tokens, dtype=torch.float32))[0].numpy()
    centred = tokens[0] - tokens[0].mean(axis=0)
    covariance = centred.T @ centred / 64
    covariance += (0.05 * np.trace(covariance) / 6 + 1e-6) * np.eye(6)
    squared = np.einsum("nk,kl,nl->n", centred, np.linalg.inv(covariance), centred)
    np.testing.assert_allclose(found, np.sqrt(squared / 6 + 1e-6), rtol=1e-3)
    torch.testing.assert_close(mahalanobis_map(torch.ones(1, 64, 6)), torch.full((1, 64), 1e-3))


def test_a_patch_unlike_all_others_is_as_isolated_as_can_be() -> None:
    """Its own neighbourhood is not taken for something less unlike."""
    tokens = -torch.ones(1, 64, 4)
    tokens[0, 27] = 1.0
    assert float(isolation_map(tokens, neighbour_mask(8, 1))[0, 27]) == pytest.approx(2.0)


def test_a_configs_widths_reach_the_experts() -> None:
    """That in which rarity is measured, and the context expert's."""
    experts = build_rarity(replace(MICRO, context_width=24), (3, 3, 3, 3), (2, 2, 2, 2))
    assert experts.context is not None
    assert experts.context.read[0].normalized_shape == (24,)
    assert [p.weight.shape for p in experts.project] == [(MICRO.rarity_width, 5)] * 4


def test_isolation_map_equals_a_loop_over_patches() -> None:
    """Each cell's five most similar cells outside its neighbourhood are found and averaged."""
    grid = 5
    tokens = np.random.default_rng(1).normal(size=(grid * grid, 4))
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    mask = neighbour_mask(grid, 1)
    found = isolation_map(torch.tensor(tokens, dtype=torch.float32)[None], mask)[0].numpy()
    for n in range(grid * grid):
        others = [
            unit[n] @ unit[m]
            for m in range(grid * grid)
            if max(abs(n // grid - m // grid), abs(n % grid - m % grid)) > 1
        ]
        expected = 1.0 - np.mean(sorted(others)[-5:])
        assert abs(found[n] - expected) < 1e-5


def test_an_odd_patch_is_the_rarest() -> None:
    """In an image of one repeated patch, the one that differs has the largest distance on both maps."""
    torch.manual_seed(0)
    tokens = torch.ones(1, 64, 8) + 0.05 * torch.randn(1, 64, 8)
    tokens[0, 37] = torch.randn(8)
    assert int(mahalanobis_map(tokens).argmax()) == 37
    assert int(isolation_map(tokens, neighbour_mask(8, 1)).argmax()) == 37


def test_experts_answer_probabilities_for_a_uniform_image() -> None:
    """An image without any variation gives finite probabilities and finite gradients."""
    experts = RarityExperts((4, 6), width=3, grid=4)
    levels = (torch.ones(2, 16, 4), torch.ones(2, 16, 6))
    probability = experts(levels)
    probability.sum().backward()
    assert probability.shape == (2, 16, 2)
    assert bool(((probability > 0) & (probability < 1)).all())
    assert all(torch.isfinite(p.grad).all() for p in experts.parameters() if p.grad is not None)


@torch.no_grad()
def test_log_odds_are_the_sum_of_what_each_level_reads() -> None:
    """Both distances, each beside its own standing in the image, and the token: level by level, by hand."""
    torch.manual_seed(0)
    experts = RarityExperts((4, 6), width=3, grid=4)
    levels = (torch.randn(2, 16, 4), torch.randn(2, 16, 6))
    expected = torch.zeros(2, 16, 2)
    for project, read, tokens in zip(experts.project, experts.read, levels, strict=True):
        own = project(tokens)
        facts = []
        for distance in (mahalanobis_map(own), isolation_map(own, neighbour_mask(4, 1))):
            mean = distance.mean(dim=1, keepdim=True)
            spread = (distance.var(dim=1, keepdim=True, correction=0) + 1e-6).sqrt()
            facts += [
                distance,
                (distance - mean) / spread,
                0 * distance + mean,
                0 * distance + spread,
            ]
        centred = own - own.mean(dim=-1, keepdim=True)
        token = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        expected += read(torch.cat([torch.stack(facts, dim=-1), token], dim=-1))
    torch.testing.assert_close(experts.logits(levels), expected, atol=1e-4, rtol=0.0)


def test_tokens_of_both_towers_stand_side_by_side_in_full_precision() -> None:
    """CLIP's first, as the learned weights expect them; half precision would not bear the inverses."""
    clip = TowerFeatures(torch.zeros(1, 2), (torch.ones(1, 4, 2).half(),))
    dino = TowerFeatures(torch.zeros(1, 3), (torch.zeros(1, 4, 3).half(),))
    (level,) = paired_levels(clip, dino)
    assert level.dtype == torch.float32
    assert level[0, 0].tolist() == [1, 1, 0, 0, 0]
