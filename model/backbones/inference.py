"""A tower as it is served: the same function with less work.

Knows layers and precisions; knows no weights file and no device. Training and export use towers as they are.
"""

from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower

Tower = TypeVar("Tower", bound=ClipTower | DinoTower)


def optimised(tower: Tower, dtype: torch.dtype = torch.float32) -> Tower:
    """Freeze, fold batch normalisations into convolutions, store channels-last and in `dtype`; in place.

    Only a tower in evaluation mode computes the same afterwards, up to rounding. CLIP's text side stays
    in fp32: a product's embeddings are computed once and kept.
    """
    _fold(tower.image_model)
    tower.image_model.to(dtype).to(memory_format=torch.channels_last)
    tower.normalise.dtype = dtype
    tower.requires_grad_(requires_grad=False)
    return tower


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
