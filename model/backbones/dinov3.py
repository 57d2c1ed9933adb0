"""The DINOv3 tower: images to class and patch tokens. Wraps timm.

Knows timm's two kinds of DINOv3 model, ViT and ConvNeXt (D17); the method sees neither. It stops at the last
block asked for: what lies above would cost time and change nothing.
"""

from typing import Any

import timm
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.features import Normalise, TowerFeatures, token_width, tokens_on_grid
from model.config import SSVPConfig


class DinoTower(nn.Module):
    """DINOv3 with its patch tokens opened.

    Attributes:
        class_width: channels of the class token.
        level_widths: channels of each level's patch tokens.
        model: the timm module; its state dict is what `dino.safetensors` holds.
    """

    def __init__(self, config: SSVPConfig) -> None:
        super().__init__()
        self.convolutional = "convnext" in config.dino_model
        # All images have one size: the positions are computed once, on the CPU, and not in every forward pass,
        # where fetching them would make a GPU wait and keep CUDA graphs from being recorded.
        fixed = {"img_size": config.dino_size_px, "dynamic_img_size": False}
        size = {} if self.convolutional else fixed
        self.model: Any = timm.create_model(
            config.dino_model, pretrained=False, num_classes=0, **size, **config.dino_kwargs
        )
        self.normalise = Normalise(config.dino_mean, config.dino_std)
        self.indices = [b - 1 for b in config.dino_blocks]
        self.grid = config.grid
        if self.indices[-1] >= len(self.model.feature_info):
            raise ValueError(f"{config.dino_model} has {len(self.model.feature_info)} blocks")
        stages = [self.model.feature_info[i] for i in self.indices]
        self.level_widths: tuple[int, ...] = tuple(
            token_width(s["num_chs"], config.dino_size_px // s["reduction"], self.grid)
            for s in stages
        )
        self.class_width: int = stages[-1]["num_chs"]

    @property
    def image_model(self) -> nn.Module:
        """The part that sees images: all of it."""
        model: nn.Module = self.model
        return model

    def forward(self, images: Tensor) -> TowerFeatures:
        """Return eq. 1's DINO side; the class token is that of the last block asked for.

        Args:
            images: uint8 `[B, 3, S, S]`.
        """
        pixels = self.normalise(images)
        return self._stages(pixels) if self.convolutional else self._transformer(pixels)

    def _stages(self, pixels: Tensor) -> TowerFeatures:
        maps = self.model.forward_intermediates(
            pixels, indices=self.indices, stop_early=True, intermediates_only=True
        )
        pooled = maps[-1].mean(
            dim=(2, 3)
        )  # [B, C]; a ConvNeXt has no class token, its pooled map is one
        class_token = F.layer_norm(pooled, pooled.shape[-1:])
        return TowerFeatures(class_token, tuple(tokens_on_grid(m, self.grid) for m in maps))

    def _transformer(self, pixels: Tensor) -> TowerFeatures:
        found = self.model.forward_intermediates(
            pixels,
            indices=self.indices,
            return_prefix_tokens=True,
            norm=True,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        prefix = found[-1][1]  # [B, 1 + registers, C]: the class token stands first
        return TowerFeatures(prefix[:, 0], tuple(patches for patches, _ in found))
