"""Rarity experts (D16, ours): how unlike the rest of its own image a patch is.

Knows one image's tokens at a time; needs neither text nor other images. Both measures are written in matrix
products, so that they export to ONNX.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.ssvp.context import ContextExpert

DISTANCES = 2  # Mahalanobis and isolation
FACTS = 4  # what is read of a distance, see `_facts`
READER_WIDTH = 32
NEIGHBOURS = 5
NEIGHBOURHOOD = 1  # cells around a patch that do not count as others: a defect resembles itself
RIDGE = (
    0.05  # of the mean variance, added to the covariance: bounds its condition number by 20 * K + 1
)
NEWTON_STEPS = (
    17  # log2(norm / smallest eigenvalue) + 4 bring the residual of the inverse below 1e-3
)


def neighbour_mask(grid: int, radius: int) -> Tensor:
    """Return bool `[N, N]`, True where two cells lie within `radius` of each other in both directions."""
    row, column = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    row, column = row.flatten(), column.flatten()
    near_rows = (row[:, None] - row[None]).abs() <= radius
    near_columns = (column[:, None] - column[None]).abs() <= radius
    return near_rows & near_columns


def newton_schulz_inverse(matrices: Tensor) -> Tensor:
    """Invert symmetric positive definite `[B, K, K]` by X <- X (2 I - A X), which converges quadratically.

    The start I / ||A||_inf leaves a residual I - A X with eigenvalues in [0, 1), which each step squares.
    """
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    norm = matrices.abs().sum(dim=-1).amax(dim=-1)[:, None, None]  # bounds the largest eigenvalue
    inverse = identity / norm
    for _ in range(NEWTON_STEPS):
        inverse = inverse @ (2.0 * identity - matrices @ inverse)
    return inverse


def mahalanobis_map(tokens: Tensor) -> Tensor:
    """Return the Mahalanobis distance `[B, N]` of each token of `[B, N, K]` to its own image's tokens."""
    width = tokens.shape[-1]
    centred = tokens - tokens.mean(dim=1, keepdim=True)
    covariance = centred.transpose(1, 2) @ centred / tokens.shape[1]  # [B, K, K]
    identity = torch.eye(width, dtype=tokens.dtype, device=tokens.device)
    mean_variance = (covariance * identity).sum(dim=(1, 2))[:, None, None] / width
    inverse = newton_schulz_inverse(covariance + (RIDGE * mean_variance + 1e-6) * identity)
    squared = ((centred @ inverse) * centred).sum(dim=-1)
    return (squared.clamp_min(0.0) / width + 1e-6).sqrt()


def isolation_map(tokens: Tensor, neighbours: Tensor) -> Tensor:
    """Return 1 - the mean cosine of each token to its five most similar tokens elsewhere, `[B, N]`."""
    unit = F.normalize(tokens, dim=-1)
    cosine = (unit @ unit.transpose(1, 2)).masked_fill(neighbours, -1.0)
    return 1.0 - cosine.topk(NEIGHBOURS, dim=-1).values.mean(dim=-1)


class RarityExperts(nn.Module):
    """Maps of rarity per image, each as the probability that the patch is anomalous.

    Rarity is measured at each level, on the tokens of both towers. Distances are read beside their own mean and
    spread over the image (five times the usual distance says more than the distance itself) and beside the
    token: the edge of a part is rare in its image and still no defect. Each level's log-odds add up. A third
    map is their sum with what the context expert adds, who reads all of it of a cell and of those around it.

    Args:
        token_widths: channels of each level's tokens, both towers' side by side.
        width: learned width in which rarity is measured.
        grid: cells a side.
        context_layers: layers of the context expert; 0 for none.
        context_width: their channels.

    Attributes:
        experts: how many maps there are.
    """

    neighbours: Tensor

    def __init__(
        self,
        token_widths: tuple[int, ...],
        width: int,
        grid: int,
        context_layers: int = 0,
        context_width: int = 0,
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(w, width) for w in token_widths)
        self.read = nn.ModuleList(_reader(width) for _ in token_widths)
        self.register_buffer("neighbours", neighbour_mask(grid, NEIGHBOURHOOD), persistent=False)
        self.experts = DISTANCES
        self.context: ContextExpert | None = None
        if context_layers:
            self.experts += 1
            self.context = ContextExpert(
                token_widths, _fact_width(width), context_width, context_layers, grid
            )

    def logits(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Return log-odds `[B, N, experts]` from the tokens of all levels, `[B, N, C_l]` each."""
        tokens = torch.stack([p(t) for p, t in zip(self.project, levels, strict=True)])
        flat = tokens.flatten(0, 1)  # [L * B, N, width]: all levels' inverses at once
        distances = (mahalanobis_map(flat), isolation_map(flat, self.neighbours))
        appearance = F.layer_norm(flat, flat.shape[-1:])
        facts = torch.cat([*map(_facts, distances), appearance], dim=-1)
        by_level = facts.unflatten(0, tokens.shape[:2])  # [L, B, N, F]
        each = [read(f) for read, f in zip(self.read, by_level, strict=True)]
        logits = torch.stack(each).sum(dim=0)  # [B, N, 2]
        if self.context is None:
            return logits
        corrected = logits.sum(dim=-1, keepdim=True) + self.context(levels, by_level)
        return torch.cat([logits, corrected], dim=-1)

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Return probabilities `[B, N, experts]`."""
        return torch.sigmoid(self.logits(levels))


def build_rarity(
    config: SSVPConfig, clip_widths: tuple[int, ...], dino_widths: tuple[int, ...]
) -> RarityExperts:
    """Build the experts of a config for the channels of both towers' levels."""
    paired = tuple(c + d for c, d in zip(clip_widths, dino_widths, strict=True))
    return RarityExperts(
        paired, config.rarity_width, config.grid, config.context_layers, config.context_width
    )


def paired_levels(clip: TowerFeatures, dino: TowerFeatures) -> tuple[Tensor, ...]:
    """Lay both towers' tokens side by side, `[B, N, Cc + Cd]` per level, in fp32 for the inverses."""
    pairs = zip(clip.patch_tokens, dino.patch_tokens, strict=True)
    return tuple(torch.cat([c.float(), d.float()], dim=-1) for c, d in pairs)


def _fact_width(width: int) -> int:
    return DISTANCES * FACTS + width


def _reader(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(_fact_width(width), READER_WIDTH),
        nn.GELU(),
        nn.Linear(READER_WIDTH, DISTANCES),
    )


def _facts(distance: Tensor) -> Tensor:
    """Return each distance, how many spreads it lies above the mean, the mean and the spread, `[B, N, 4]`."""
    mean = distance.mean(dim=-1, keepdim=True)
    spread = ((distance - mean).square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    standardised = (distance - mean) / spread
    return torch.stack(
        [distance, standardised, mean.expand_as(distance), spread.expand_as(distance)], dim=-1
    )
