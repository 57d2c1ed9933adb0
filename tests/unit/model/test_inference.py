"""Towers as they are served compute what they computed before, with fewer layers."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from open_clip.transformer import QuickGELU
from timm.models.eva import EvaBlock
from torch import nn
from torch.nn import functional as F

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.backbones.inference import Tower, optimised
from model.backbones.lean import QUICK_GELU_SLOPE, is_plain
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


@pytest.mark.parametrize("config", [TINY_VIT, SSVP_NANO], ids=lambda c: c.name)
def test_a_tower_in_half_precision_is_frozen_and_keeps_its_text_side(config: SSVPConfig) -> None:
    """What sees images is in fp16, pixels included; the prompts are made in fp32, once a product."""
    clip = optimised(ClipTower(config).eval(), torch.float16)
    assert {p.dtype for p in clip.image_model.parameters()} == {torch.float16}
    assert clip.normalise(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).dtype == torch.float16
    assert clip.model.token_embedding.weight.dtype == torch.float32
    assert not any(p.requires_grad for p in clip.parameters())


def test_quick_gelu_is_silu_between_two_scalings() -> None:
    """With its very slope: a whole tower hardly shows another one."""
    x = torch.linspace(-8.0, 8.0, 99)
    found = F.silu(QUICK_GELU_SLOPE * x) / QUICK_GELU_SLOPE
    torch.testing.assert_close(found, QuickGELU()(x))


def test_kernels_are_stored_channels_last() -> None:
    """So a CPU's convolutions want them."""
    served = optimised(DinoTower(SSVP_NANO).eval())
    kernels = [m.weight for m in served.modules() if isinstance(m, nn.Conv2d)]
    assert kernels
    assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)


def test_no_slow_layer_is_left_in_a_vit() -> None:
    """Each is replaced, once: a tower that is optimised already stays as it is."""
    clip, dino = ClipTower(TINY_VIT).eval(), DinoTower(TINY_VIT).eval()
    images = torch.full((1, 3, 56, 56), 90, dtype=torch.uint8)
    with torch.no_grad():
        before = optimised(clip)(images)
        _assert_close(before, optimised(clip)(images))
    optimised(optimised(dino))
    slow = (nn.Conv2d, nn.MultiheadAttention, EvaBlock)
    for tower in (clip, dino):
        assert not any(isinstance(m, slow) for m in tower.image_model.modules())
    activations = [block.mlp.gelu for block in clip.model.visual.transformer.resblocks]
    assert all(isinstance(a, nn.SiLU) for a in activations)


@pytest.mark.parametrize(
    "change",
    [
        {"rotate_half": False},
        {"qk_norm": True},
        {"scale_attn_inner": True},
        {"gated_attn": True},
        {"qkv_fused": False},
        {"attn_type": "rope"},
    ],
    ids=str,
)
def test_a_block_that_computes_otherwise_is_not_replaced(change: dict[str, Any]) -> None:
    """Another way to turn, norms in between, a gate, separate weights: timm has them all."""
    assert is_plain(EvaBlock(48, 2, rotate_half=True))
    assert not is_plain(EvaBlock(48, 2, **{"rotate_half": True, **change}))


def test_no_batch_normalisation_is_left() -> None:
    """In CLIP's ResNet all of them follow a convolution."""
    served = optimised(ClipTower(SSVP_NANO).eval())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in served.modules())
