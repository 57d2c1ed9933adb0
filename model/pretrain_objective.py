"""What pretraining optimises: both towers with disposable probes, and the losses that read them.

Knows one batch; knows neither steps nor files.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.data.stream import Batch
from model.losses import class_balanced_mean, mask_on
from model.ssvp.rarity import RarityExperts, paired_levels

TOP_CELLS = 3  # whose mean log-odds judge an image


class TowerPair(nn.Module):
    """Both towers in training mode with their disposable probes."""

    def __init__(self, config: SSVPConfig) -> None:
        super().__init__()
        self.clip = ClipTower(config)
        self.dino = DinoTower(config)
        self.clip_probes = nn.ModuleList(nn.Linear(w, 1) for w in self.clip.level_widths)
        self.dino_probes = nn.ModuleList(nn.Linear(w, 1) for w in self.dino.level_widths)
        both = zip(self.clip.level_widths, self.dino.level_widths, strict=True)
        self.rarity = RarityExperts(tuple(c + d for c, d in both), config.rarity_width, config.grid)

    def forward(self, images: Tensor, captions: list[str]) -> "PretrainOutputs":
        """Run both towers, their probes and the captions."""
        # Convolutions train a third faster with the channels last.
        images = images.contiguous(memory_format=torch.channels_last)
        clip, dino = self.clip(images), self.dino(images)
        text = self.clip.encode_captions(captions)
        scale = self.clip.model.logit_scale.exp().clamp(max=50.0)
        contrast = scale * F.normalize(clip.class_token, dim=-1) @ F.normalize(text, dim=-1).T
        with torch.autocast(images.device.type, enabled=False):  # inverses need their digits
            rarity = self.rarity.logits(paired_levels(clip, dino))
        maps = [_probe(clip, self.clip_probes), _probe(dino, self.dino_probes), rarity]
        each = torch.cat([m.float() for m in maps], dim=-1)  # [B, N, 4]
        return PretrainOutputs(contrast, torch.cat([each, each.sum(dim=-1, keepdim=True)], dim=-1))


@dataclass(frozen=True, eq=False)
class PretrainOutputs:
    """What the losses read.

    Attributes:
        contrast: image-text logits `[B, B]`.
        maps: log-odds of a defect `[B, N, 5]`: CLIP's probe, DINO's, two rarity experts, their sum.
    """

    contrast: Tensor
    maps: Tensor


def _probe(features: TowerFeatures, probes: nn.ModuleList) -> Tensor:
    logits = [p(t) for p, t in zip(probes, features.patch_tokens, strict=True)]  # [B, N, 1] each
    return torch.stack(logits).sum(dim=0)


def contrastive_loss(logits: Tensor, states: list[str]) -> Tensor:
    """Return the symmetric image-text loss in which all captions of the same state are equally right."""
    index = {s: i for i, s in enumerate(dict.fromkeys(states))}
    ids = torch.tensor([index[s] for s in states], device=logits.device)
    same = (ids[:, None] == ids[None]).float()
    target = same / same.sum(dim=1, keepdim=True)
    logits = logits.float()
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def balanced_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the cross-entropy over defective and over normal cells, each counting half.

    Defects cover few cells: unbalanced, "nowhere" is the easiest answer and the towers learn nothing.
    """
    return class_balanced_mean(
        F.binary_cross_entropy_with_logits(logits, target, reduction="none"), target
    )


def image_loss(maps: Tensor, label: Tensor) -> Tensor:
    """Judge each image by its worst cells: cross-entropy, and the defective twin above the normal one.

    Cells alone teach where a defect is, not that a sound part's oddest cell must stay below it.
    """
    worst = maps.topk(TOP_CELLS, dim=1).values.mean(dim=1)  # [B, 5]
    judged = F.binary_cross_entropy_with_logits(worst, label[:, None].expand_as(worst))
    normal, anomalous = worst.unflatten(0, (-1, 2)).unbind(dim=1)  # twins stand side by side
    return judged + F.softplus(normal - anomalous).mean()


def pretrain_losses(outputs: PretrainOutputs, batch: Batch, grid: int) -> dict[str, Tensor]:
    """Return each term; their plain sum is what is minimised."""
    masks = batch.masks.to(outputs.maps.device)
    target = mask_on(masks, grid).flatten(1)[..., None].expand_as(outputs.maps)  # [B, N, 5]
    return {
        "contrast": 0.3 * contrastive_loss(outputs.contrast, batch.states),
        "dense": 4.0 * balanced_bce(outputs.maps, target),
        "image": image_loss(outputs.maps, masks.flatten(1).any(dim=1).float()),
    }
