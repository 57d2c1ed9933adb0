"""Patch tokens in CLIP's joint space, read from the last attention's values.

CLIP's last attention gathers the image for the class token; its patch outputs no longer mean their own place.
The value of each patch, sent through the output projection alone, still does, and can be compared with text
directly: Zhou, Loy, Dai, "Extract Free Dense Labels from CLIP" (ECCV 2022), for both kinds of tower.
Knows open_clip's layers; knows no text.
"""

from typing import Any

from torch import Tensor
from torch.nn import functional as F


def transformer_values(visual: Any, tokens: Tensor) -> Tensor:
    """Map the tokens `[B, N, Dc]` that enter a ViT's last block to the joint space, `[B, N, D]`."""
    block = visual.transformer.resblocks[-1]
    attention = block.attn
    value_rows = slice(2 * attention.embed_dim, None)  # queries, keys, values lie one below another
    values = F.linear(
        block.ln_1(tokens),
        attention.in_proj_weight[value_rows],
        attention.in_proj_bias[value_rows],
    )
    joint: Tensor = visual.ln_post(attention.out_proj(values)) @ visual.proj
    return joint


def resnet_values(visual: Any, feature_map: Tensor, grid: int) -> Tensor:
    """Map a ModifiedResNet's last map `[B, C, h, w]` to the joint space on the grid, `[B, grid * grid, D]`."""
    tokens = feature_map.flatten(2).transpose(1, 2)  # [B, h * w, C]
    pool = visual.attnpool
    joint = pool.c_proj(pool.v_proj(tokens)).transpose(1, 2)  # [B, D, h * w]
    square = joint.unflatten(-1, feature_map.shape[-2:])
    on_grid = F.interpolate(square, (grid, grid), mode="bilinear", align_corners=False)
    return on_grid.flatten(2).transpose(1, 2)
