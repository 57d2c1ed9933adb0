"""Layers of a ViT as they are served: open_clip's and timm's arithmetic in fewer launches.

Knows those libraries' layers; knows no tower. On a GPU a launch reads and writes all tokens, and between two
matrix products nothing else costs time. Each of these takes the weights of the layer that it stands for.
"""

import torch
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from timm.models.eva import EvaAttention, EvaBlock
from torch import Tensor, nn
from torch.nn import functional as F

QUICK_GELU_SLOPE = 1.702


class PatchProjection(nn.Module):
    """A convolution whose patches do not overlap, as one matrix product.

    Args:
        source: the convolution; its stride is its kernel's side.
    """

    def __init__(self, source: nn.Conv2d) -> None:
        super().__init__()
        self.side = source.kernel_size[0]
        self.weight = nn.Parameter(source.weight.detach().flatten(1), requires_grad=False)
        self.bias = source.bias

    def forward(self, pixels: Tensor) -> Tensor:
        """Map `[B, 3, S, S]` to `[B, C, S / side, S / side]`."""
        cells = pixels.shape[-1] // self.side
        patches = pixels.unflatten(3, (cells, self.side)).unflatten(2, (cells, self.side))
        rows = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)  # [B, cells, cells, 3 * side * side]
        return F.linear(rows, self.weight, self.bias).permute(0, 3, 1, 2)


class SelfAttention(nn.Module):
    """`nn.MultiheadAttention` of tokens with themselves, without a change of layout on the way.

    Args:
        source: batch first, queries, keys and values of one width.
    """

    def __init__(self, source: nn.MultiheadAttention) -> None:
        super().__init__()
        self.embed_dim, self.heads = source.embed_dim, source.num_heads
        self.in_proj_weight, self.in_proj_bias = source.in_proj_weight, source.in_proj_bias
        self.out_proj = source.out_proj

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, **options: object
    ) -> tuple[Tensor, None]:
        """Attend within `[B, N, C]`; called as the layer it stands for."""
        del key, value, options  # the same tokens, no mask, no weights asked for
        qkv = F.linear(query, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)  # [B, heads, N, C / heads]
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None


class RotaryBlock(nn.Module):
    """timm's block of a DINOv3 ViT, with rotary positions in three launches in place of twelve.

    The prefix tokens, which have no position, are turned by an angle of zero, so that nothing is taken apart.

    Args:
        source: see `is_plain`.
        sine, cosine: of each patch's position, `[N, C / heads]`.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, source: EvaBlock, sine: Tensor, cosine: Tensor) -> None:
        super().__init__()
        attention = source.attn
        self.heads = attention.num_heads
        self.norm1, self.norm2, self.mlp = source.norm1, source.norm2, source.mlp
        self.gamma_1, self.gamma_2 = source.gamma_1, source.gamma_2
        self.qkv, self.proj = attention.qkv, attention.proj
        if attention.q_bias is not None:
            bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
            self.qkv.bias = nn.Parameter(bias.detach(), requires_grad=False)
        first, second = sine.chunk(2, dim=-1)
        prefix = (0, 0, attention.num_prefix_tokens, 0)
        turned = F.pad(torch.cat([-first, second], dim=-1), prefix)
        # Beside queries and keys `[B, N, 2, heads, C / heads]`.
        self.register_buffer("sine", turned[:, None, None], persistent=False)
        self.register_buffer(
            "cosine", F.pad(cosine, prefix, value=1.0)[:, None, None], persistent=False
        )

    def forward(self, tokens: Tensor, **options: object) -> Tensor:
        """Map tokens `[B, N, C]` to the next block's; called as the block it stands for."""
        del options  # the positions, which are here already, and no mask
        tokens = _add(tokens, self.gamma_1, self._attend(self.norm1(tokens)))
        return _add(tokens, self.gamma_2, self.mlp(self.norm2(tokens)))

    def _attend(self, tokens: Tensor) -> Tensor:
        qkv = self.qkv(tokens).unflatten(2, (3, self.heads, -1))  # [B, N, 3, heads, C / heads]
        q, k = self._turned(qkv[:, :, :2]).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, qkv[:, :, 2].transpose(1, 2))
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected

    def _turned(self, pair: Tensor) -> Tensor:
        """Turn each pair (x, y), half a head's width apart, to (x cos - y sin, y cos + x sin)."""
        half = pair.shape[-1] // 2
        first, second = pair.split(half, dim=-1)
        turned = pair * self.cosine
        turned[..., :half].addcmul_(second, self.sine[..., :half])
        turned[..., half:].addcmul_(first, self.sine[..., half:])
        return turned


def _add(tokens: Tensor, scale: Tensor | None, change: Tensor) -> Tensor:
    return tokens + change if scale is None else torch.addcmul(tokens, scale, change)


def is_plain(block: nn.Module) -> bool:
    """Return whether a timm block is such as `RotaryBlock` stands for."""
    if not isinstance(block, EvaBlock) or not isinstance(block.attn, EvaAttention):
        return False
    attention = block.attn
    norms = (attention.q_norm, attention.k_norm, attention.norm)
    return (
        attention.rotate_half
        and attention.qkv is not None
        and attention.gate is None
        and all(isinstance(norm, nn.Identity) for norm in norms)
    )


def fold_quick_gelu(block: ResidualAttentionBlock) -> None:
    """Replace x sigmoid(1.702 x) by SiLU, one launch in place of three; the layers beside it are scaled."""
    mlp = block.mlp
    if not isinstance(mlp.gelu, QuickGELU):
        return
    with torch.no_grad():
        mlp.c_fc.weight.mul_(QUICK_GELU_SLOPE)
        mlp.c_fc.bias.mul_(QUICK_GELU_SLOPE)
        mlp.c_proj.weight.div_(QUICK_GELU_SLOPE)
    mlp.gelu = nn.SiLU(inplace=True)
