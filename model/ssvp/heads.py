"""The heads: HSVS, VCPG, rarity and VTAM as one module from tokens to scores. This is what becomes ONNX.

Knows tokens and a text bank; knows neither towers nor files.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.ssvp.hsvs import HSVS
from model.ssvp.rarity import RarityExperts, paired_levels
from model.ssvp.vcpg import VCPG, PromptRefinement
from model.ssvp.vtam import VTAM, AnomalyScores


@dataclass(frozen=True, eq=False)
class TowerWidths:
    """Channel counts the heads must fit: of each level's patch tokens and of DINO's class token."""

    joint: int
    clip: tuple[int, ...]
    dino: tuple[int, ...]
    dino_class: int


@dataclass(frozen=True, eq=False)
class HeadOutputs:
    """All the heads say: scores for everyone, the refinement for the training losses."""

    scores: AnomalyScores
    refinement: PromptRefinement


def upsample_and_smooth_matrix(grid: int, size_px: int, sigma_px: float) -> Tensor:
    """Return the `[size_px, grid]` matrix that interpolates bilinearly, then blurs with a Gaussian.

    Both are linear and separable, so map = U @ grid_map @ U^T does them at once and exactly. The Gaussian is
    cut at four sigma and mirrors the edge pixel too (symmetric padding, D14).
    """
    identity = torch.eye(grid, dtype=torch.float64)
    up = F.interpolate(identity[None], size=size_px, mode="linear", align_corners=False)[0].T
    if sigma_px <= 0.0:
        return up.float()
    radius = math.ceil(4.0 * sigma_px)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma_px).square())
    kernel = kernel / kernel.sum()
    source = torch.arange(size_px)[:, None] + torch.arange(-radius, radius + 1)[None]
    source = source % (2 * size_px)
    source = torch.where(source >= size_px, 2 * size_px - 1 - source, source)  # mirrored index
    blur = torch.zeros(size_px, size_px, dtype=torch.float64)
    blur.scatter_add_(1, source, kernel.expand_as(source))
    return (blur @ up).float()


class SSVPHeads(nn.Module):
    """Map the tokens of both towers and the prompts of a product to scores.

    Args:
        config: the model.
        widths: the towers' channel counts.
        joint_projection: see `HSVS`.
    """

    upsample: Tensor

    def __init__(
        self, config: SSVPConfig, widths: TowerWidths, joint_projection: Tensor | None = None
    ) -> None:
        super().__init__()
        self.grid = config.grid
        width, heads = widths.joint, config.attention_heads
        self.hsvs = HSVS(
            width, heads, widths.clip, widths.dino, widths.dino_class, joint_projection
        )
        self.vcpg = VCPG(width, config.latent_width, config.latent_tokens, heads)
        self.rarity: RarityExperts | None = None
        if config.rarity_experts:
            paired = tuple(c + d for c, d in zip(widths.clip, widths.dino, strict=True))
            self.rarity = RarityExperts(paired, config.rarity_width, config.grid)
        self.vtam = VTAM(
            width,
            config.levels,
            normal_prompts=len(config.normal_words),
            extra_experts=RarityExperts.experts if config.rarity_experts else 0,
            local_topk=config.local_topk,
            gamma=config.gamma,
            temperature=config.temperature,
        )
        matrix = upsample_and_smooth_matrix(
            config.grid, config.map_size_px, config.smoothing_sigma_px
        )
        self.register_buffer("upsample", matrix, persistent=False)

    def forward(self, clip: TowerFeatures, dino: TowerFeatures, text: Tensor) -> HeadOutputs:
        """Run Algorithm 1 from the tokens on.

        Args:
            clip: CLIP's tokens.
            dino: DINO's tokens.
            text: T_init `[B, P, D]`, one bank of prompts an image.
        """
        v_global, v_local = self.hsvs(
            clip.class_token, clip.patch_tokens, dino.class_token, dino.patch_tokens
        )
        refinement = self.vcpg(v_global, text)
        extra = None if self.rarity is None else self.rarity(paired_levels(clip, dino))
        return HeadOutputs(self.vtam(v_global, v_local, refinement.text, extra), refinement)

    def anomaly_map(self, grid_map: Tensor) -> Tensor:
        """Upsample and smooth P_map `[B, N]` to `[B, map_size_px, map_size_px]`."""
        square = grid_map.unflatten(-1, (self.grid, self.grid))  # [B, g, g]
        result: Tensor = self.upsample @ square @ self.upsample.T
        return result


def head_input_names(levels: int) -> list[str]:
    """Name the exported graph's inputs, in order."""
    clip = [f"clip_patches_{i}" for i in range(levels)]
    dino = [f"dino_patches_{i}" for i in range(levels)]
    return ["clip_class", *clip, "dino_class", *dino, "text_bank"]


HEAD_OUTPUT_NAMES = ("score", "score_global", "score_local", "anomaly_map")


class ExportableHeads(nn.Module):
    """The heads with tensors in and tensors out, in the order of `head_input_names`."""

    def __init__(self, heads: SSVPHeads, levels: int) -> None:
        super().__init__()
        self.heads = heads
        self.levels = levels

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return score, score_global and score_local `[B]` and the anomaly map `[B, H, W]`."""
        clip = TowerFeatures(tensors[0], tuple(tensors[1 : self.levels + 1]))
        dino = TowerFeatures(tensors[self.levels + 1], tuple(tensors[self.levels + 2 : -1]))
        scores = self.heads(clip, dino, tensors[-1]).scores
        anomaly_map = self.heads.anomaly_map(scores.grid_map)
        return scores.score, scores.score_global, scores.score_local, anomaly_map


def head_inputs(clip: TowerFeatures, dino: TowerFeatures, text: Tensor) -> tuple[Tensor, ...]:
    """Line up tokens and text bank in the order of `head_input_names`, contiguous and in fp32."""
    ordered = (clip.class_token, *clip.patch_tokens, dino.class_token, *dino.patch_tokens, text)
    return tuple(t.to(torch.float32).contiguous() for t in ordered)
