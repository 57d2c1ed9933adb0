"""VCPG, vision-conditioned prompt generator: move the text embeddings by what the image shows (eqs. 6-12).

Knows V_global and T_init; knows neither patches nor towers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class PromptRefinement:
    """What VCPG made of one batch.

    Attributes:
        text: T_final, `[B, P, D]`.
        mean: mu, `[B, Z]`.
        log_variance: `[B, Z]`.
        target: L2-normalised V_global without gradient, `[B, D]`, what the decoder should give back (D6).
        reconstruction: `[B, D]`.
    """

    text: Tensor
    mean: Tensor
    log_variance: Tensor
    target: Tensor
    reconstruction: Tensor


def _mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, inputs), nn.GELU(), nn.Linear(inputs, outputs))


class VCPG(nn.Module):
    """Variational encoder of V_global and text-latent cross-attention.

    Args:
        width: joint width D.
        latent_width: Z, the width of z.
        latent_tokens: M, how many keys and values z becomes. With M = 1 the attention's softmax is
            constantly 1 and every prompt gets the same shift: the paper to the letter (D1).
        heads: attention heads.
    """

    def __init__(self, width: int, latent_width: int, latent_tokens: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.latent_tokens = latent_tokens
        self.to_mean = _mlp(width, latent_width)
        self.to_log_variance = _mlp(width, latent_width)
        self.decode = _mlp(latent_width, width)
        self.to_tokens = nn.Linear(latent_width, latent_tokens * width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.alpha = nn.Parameter(torch.zeros(()))

    def text_shift(self, text: Tensor, latent: Tensor) -> Tensor:
        """Cross-attend from T_init `[B, P, D]` to z `[B, Z]` and return delta `[B, P, D]` (eq. 10)."""
        tokens = self.to_tokens(latent).unflatten(-1, (self.latent_tokens, -1))  # [B, M, D]
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, P or M, d_head]
            for t in (self.query(text), self.key(tokens), self.value(tokens))
        )
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # [B, P, D]

    def forward(self, v_global: Tensor, text: Tensor) -> PromptRefinement:
        """Refine the prompts: T_final = LN(T_init + alpha * delta) (eq. 11).

        z is drawn by reparametrisation while training (eq. 8) and is the mean otherwise, so that the same
        image always gets the same prompts (D5).
        """
        target = F.normalize(v_global, dim=-1)
        mean = self.to_mean(target)
        log_variance = self.to_log_variance(target).clamp(-10.0, 10.0)
        latent = mean
        if self.training:
            latent = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return PromptRefinement(
            text=self.norm(text + self.alpha * self.text_shift(text, latent)),
            mean=mean,
            log_variance=log_variance,
            target=target.detach(),
            reconstruction=self.decode(latent),
        )
