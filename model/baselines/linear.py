"""One linear map of DINO's tokens: what a method of many parts must beat to be believed.

UniADet (2025) reaches with little more than this what most prompting methods reach. Knows tokens, no text.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.ssvp.heads import HeadOutputs, Heads, TowerWidths
from model.ssvp.vtam import compose_scores


class LinearHeads(Heads):
    """A linear map of each level's patch tokens, their log-odds averaged, and one of the class token."""

    def __init__(self, config: SSVPConfig, widths: TowerWidths) -> None:
        super().__init__(config)
        self.local_topk, self.gamma = config.local_topk, config.gamma
        self.patches = nn.ModuleList(nn.Linear(w, 1) for w in widths.dino)
        self.image = nn.Linear(widths.dino_class, 1)

    def forward(self, clip: TowerFeatures, dino: TowerFeatures | None, text: Tensor) -> HeadOutputs:  # noqa: ARG002
        """Score a batch from DINO's tokens alone; arguments as for `Heads`."""
        if dino is None:
            raise ValueError("the linear head reads the DINO tower")
        tokens = (F.layer_norm(t, t.shape[-1:]) for t in dino.patch_tokens)
        logits = [p(t)[..., 0] for p, t in zip(self.patches, tokens, strict=True)]
        levels = torch.stack(logits, dim=1)  # [B, L, N]
        grid_map = torch.sigmoid(levels.mean(dim=1))
        score_global = torch.sigmoid(self.image(dino.class_token))[:, 0]
        scores = compose_scores(
            torch.sigmoid(levels), grid_map, score_global, self.local_topk, self.gamma
        )
        return HeadOutputs(scores, text)
