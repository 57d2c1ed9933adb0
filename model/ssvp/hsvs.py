"""HSVS, hierarchical semantic-visual synergy: fuse CLIP's and DINO's tokens (eqs. 2-5).

Knows tokens of two towers on one grid; knows neither towers nor text.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.features import TowerFeatures


def _fusion_mlp(width: int) -> nn.Sequential:
    """Build eq. 5's two-layer GELU MLP; its last layer starts at zero, so fusion starts as identity (D10)."""
    last = nn.Linear(width, width)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), last)


class PatchATF(nn.Module):
    """Adaptive token features fusion of one level's patch tokens, both directions.

    A_cd = softmax(Q_c K_d^T / sqrt(d_head)) V_d and A_dc its mirror image (eqs. 2-4); the result is
    F_c + MLP([LN(A_cd), LN(A_dc)]) (eq. 5). The two towers share a grid, so row n of both directions is the
    same place of the image.
    """

    def __init__(self, width: int, dino_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.clip_query = nn.Linear(width, width)
        self.clip_key = nn.Linear(width, width)
        self.clip_value = nn.Linear(width, width)
        self.dino_query = nn.Linear(dino_width, width)
        self.dino_key = nn.Linear(dino_width, width)
        self.dino_value = nn.Linear(dino_width, width)
        self.norm_cd = nn.LayerNorm(width)
        self.norm_dc = nn.LayerNorm(width)
        self.mlp = _fusion_mlp(width)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, d_head]
            for t in (query, key, value)
        )
        attended = F.scaled_dot_product_attention(q, k, v)
        return attended.transpose(1, 2).flatten(2)  # [B, N, D]

    def forward(self, clip: Tensor, dino: Tensor) -> Tensor:
        """Fuse `[B, N, D]` CLIP with `[B, N, Dd]` DINO tokens into V_local, `[B, N, D]`."""
        a_cd = self._attend(self.clip_query(clip), self.dino_key(dino), self.dino_value(dino))
        a_dc = self._attend(self.dino_query(dino), self.clip_key(clip), self.clip_value(clip))
        fused: Tensor = self.mlp(torch.cat([self.norm_cd(a_cd), self.norm_dc(a_dc)], dim=-1))
        return clip + fused


class ClassATF(nn.Module):
    """The same fusion for class tokens, `[B, D]` and `[B, Dd]`.

    With a single key the softmax of eqs. 2-4 is 1 whatever the query, so attention is exactly its value map:
    query and key weights would never receive a gradient and are left out (D1).
    """

    def __init__(self, width: int, dino_width: int) -> None:
        super().__init__()
        self.clip_value = nn.Linear(width, width)
        self.dino_value = nn.Linear(dino_width, width)
        self.norm_cd = nn.LayerNorm(width)
        self.norm_dc = nn.LayerNorm(width)
        self.mlp = _fusion_mlp(width)

    def forward(self, clip: Tensor, dino: Tensor) -> Tensor:
        """Return V_global, `[B, D]`."""
        a_cd = self.norm_cd(self.dino_value(dino))
        a_dc = self.norm_dc(self.clip_value(clip))
        fused: Tensor = self.mlp(torch.cat([a_cd, a_dc], dim=-1))
        return clip + fused


class ConcatFusion(nn.Module):
    """The simpler fusion ATF is measured against: one linear map of both towers' tokens side by side.

    It starts as the identity on CLIP's tokens, as ATF does (D10).
    """

    def __init__(self, width: int, dino_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width + dino_width, width)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.weight[:, :width].copy_(torch.eye(width))
            self.linear.bias.zero_()

    def forward(self, clip: Tensor, dino: Tensor) -> Tensor:
        """Fuse `[..., D]` with `[..., Dd]` into `[..., D]`."""
        fused: Tensor = self.linear(torch.cat([clip, dino], dim=-1))
        return fused


class HSVS(nn.Module):
    """ATF once per level for patch tokens and once for class tokens, with separate weights (D10).

    Args:
        width: joint width D.
        heads: attention heads.
        clip_widths: channels of CLIP's patch tokens, one a level.
        dino_widths: channels of DINO's patch tokens, one a level.
        dino_class_width: channels of DINO's class token.
        joint_projection: `[D, Dc]`, CLIP's own map of patch tokens into the joint space; every level's
            projection starts from it (D10). None: they start at random, as a tower without one must.
        fusion: `atf`; or, to measure what it gains, `concat` or `none`, CLIP's tokens alone.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        clip_widths: tuple[int, ...],
        dino_widths: tuple[int, ...],
        dino_class_width: int,
        joint_projection: Tensor | None = None,
        fusion: str = "atf",
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(w, width) for w in clip_widths)
        if fusion == "atf":
            self.patch_atf = nn.ModuleList(PatchATF(width, w, heads) for w in dino_widths)
            self.class_atf: nn.Module = ClassATF(width, dino_class_width)
        elif fusion == "concat":
            self.patch_atf = nn.ModuleList(ConcatFusion(width, w) for w in dino_widths)
            self.class_atf = ConcatFusion(width, dino_class_width)
        self.fuses = fusion != "none"
        if joint_projection is not None:
            for linear in self.project:
                assert isinstance(linear, nn.Linear)  # noqa: S101 - narrows ModuleList's element type
                nn.init.zeros_(linear.bias)
                with torch.no_grad():
                    linear.weight.copy_(joint_projection)

    def forward(
        self, clip: TowerFeatures, dino: TowerFeatures | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return V_global `[B, D]` and V_local, one `[B, N, D]` per level."""
        joint = [p(t) for p, t in zip(self.project, clip.patch_tokens, strict=True)]
        if dino is None or not self.fuses:
            return clip.class_token, tuple(joint)
        fused = zip(self.patch_atf, joint, dino.patch_tokens, strict=True)
        return self.class_atf(clip.class_token, dino.class_token), tuple(
            atf(c, d) for atf, c, d in fused
        )
