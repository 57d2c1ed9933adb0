"""A tower as it is served: the same function with less work.

Knows layers and precisions; knows no weights file and no device. Training and export use towers as they are.
"""

from typing import TypeVar

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from timm.models.eva import Eva
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.lean import (
    PatchProjection,
    RotaryBlock,
    SelfAttention,
    fold_quick_gelu,
    is_plain,
)

Tower = TypeVar("Tower", bound=ClipTower | DinoTower)


def optimised(tower: Tower, dtype: torch.dtype = torch.float32) -> Tower:
    """Freeze, merge layers, store channels-last and in `dtype`; in place.

    A convolutional tower's batch normalisations go into its convolutions; a ViT gets the layers of
    `model.backbones.lean`. Only a tower in evaluation mode computes the same afterwards, up to rounding; one
    that is optimised already is left as it is. CLIP's text side stays in fp32: it is used once a product.
    """
    if isinstance(tower.image_model, VisionTransformer):
        _lean_clip(tower.image_model)
    elif isinstance(tower.image_model, Eva):
        _lean_dino(tower.image_model)
    else:
        _fold(tower.image_model)
    tower.image_model.to(dtype).to(memory_format=torch.channels_last)
    tower.normalise.dtype = dtype
    tower.requires_grad_(requires_grad=False)
    return tower


def _lean_clip(visual: VisionTransformer) -> None:
    if isinstance(visual.conv1, nn.Conv2d):
        visual.conv1 = PatchProjection(visual.conv1)
    for block in visual.transformer.resblocks:
        if isinstance(block, ResidualAttentionBlock) and isinstance(
            block.attn, nn.MultiheadAttention
        ):
            block.attn = SelfAttention(block.attn)
            fold_quick_gelu(block)


def _lean_dino(vit: Eva) -> None:
    if isinstance(vit.patch_embed.proj, nn.Conv2d):
        vit.patch_embed.proj = PatchProjection(vit.patch_embed.proj)
    sine, cosine = vit.rope.get_embed().chunk(2, dim=-1)
    for index, block in enumerate(vit.blocks):
        if is_plain(block):
            vit.blocks[index] = RotaryBlock(block, sine, cosine)


def _fold(module: nn.Module) -> None:
    """Fold where a batch normalisation follows a convolution as the next child: so ResNets are written."""
    before: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if (
            isinstance(child, nn.BatchNorm2d)
            and before is not None
            and isinstance(before[1], nn.Conv2d)
        ):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        _fold(child)
        before = (name, child)
