"""Towers as they are served compute what they computed before, with fewer layers."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.backbones.inference import Tower, optimised
from model.backbones.traced import TracedTower
from model.config import SSVP_NANO, SSVPConfig
from tests.configs import TINY_VIT

ROUNDING = 1e-4  # relative to the largest value: other kernels add in another order


def _as_trained(tower: Tower) -> Tower:
    """Give each layer an effect: as they are built, biases, normalisations and layer scales have none."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in tower.named_parameters():
        if name.endswith(("bias", "gamma_1", "gamma_2")):
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
    for module in tower.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight, module.bias):
                assert tensor is not None
                tensor.data.copy_(torch.randn(tensor.shape, generator=generator))
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 2.0, generator=generator)
    tower.eval()
    return tower


def _assert_close(before: TowerFeatures, after: TowerFeatures) -> None:
    for old, new in zip(
        (before.class_token, *before.patch_tokens),
        (after.class_token, *after.patch_tokens),
        strict=True,
    ):
        assert (new - old).abs().max() <= ROUNDING * old.abs().max()


WITH_BIAS = replace(TINY_VIT, name="with-bias", dino_model="vit_small_patch16_dinov3_qkvb")
WITH_GELU = replace(
    TINY_VIT, name="gelu", clip_config={**TINY_VIT.clip_config, "quick_gelu": False}
)


@pytest.mark.parametrize(
    "config", [TINY_VIT, WITH_BIAS, WITH_GELU, SSVP_NANO], ids=lambda c: c.name
)
@pytest.mark.parametrize("family", [ClipTower, DinoTower])
def test_optimised_tower_gives_the_same_tokens(
    config: SSVPConfig, family: type[ClipTower | DinoTower]
) -> None:
    """Class token and every level's patch tokens agree up to rounding, for ViT and convolutional towers.

    The recorded graph does so for batches of other sizes than it was recorded with.
    """
    torch.manual_seed(0)
    built: Any = family(config)
    tower = _as_trained(built)
    served = optimised(copy.deepcopy(tower))
    size = config.clip_size_px if family is ClipTower else config.dino_size_px
    traced = TracedTower(served, size)
    images = torch.randint(0, 256, (3, 3, size, size), dtype=torch.uint8)
    with torch.inference_mode():
        for count in (1, 3):
            wanted = tower(images[:count])
            _assert_close(wanted, served(images[:count]))
            _assert_close(wanted, traced(images[:count]))


def test_no_batch_normalisation_is_left() -> None:
    """In CLIP's ResNet all of them follow a convolution."""
    served = optimised(ClipTower(SSVP_NANO).eval())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in served.modules())
