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
from model.ssvp.rarity import build_rarity, paired_levels

TOP_CELLS = 3  # whose mean log-odds judge an image


class TowerPair(nn.Module):
    """Both towers in training mode with their disposable probes."""

    def __init__(self, config: SSVPConfig) -> None:
        super().__init__()
        self.clip = ClipTower(config)
        self.dino = DinoTower(config)
        self.clip_probes = nn.ModuleList(nn.Linear(w, 1) for w in self.clip.level_widths)
        self.dino_probes = nn.ModuleList(nn.Linear(w, 1) for w in self.dino.level_widths)
        self.rarity = build_rarity(config, self.clip.level_widths, self.dino.level_widths)

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
        each = torch.cat([m.float() for m in maps], dim=-1)  # [B, N, 2 + experts]
        return PretrainOutputs(contrast, torch.cat([each, each.sum(dim=-1, keepdim=True)], dim=-1))


@dataclass(frozen=True, eq=False)
class PretrainOutputs:
    """What the losses read.

    Attributes:
        contrast: image-text logits `[B, B]`.
        maps: log-odds of a defect `[B, N, M]`: CLIP's probe, DINO's, each rarity expert's, their sum.
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


@dataclass(frozen=True, eq=False)
class CellTargets:
    """What the masks say of the grid's cells, floats of 0 and 1, `[B, N]` each.

    Attributes:
        anomalous: a line one pixel wide could cross the cell within the defect, or no cell has more of it.
        normal: nothing of a defect. A cell that a defect only grazes is neither.
    """

    anomalous: Tensor
    normal: Tensor


def cell_targets(masks: Tensor, grid: int) -> CellTargets:
    """Judge the cells of bool masks `[B, H, W]`."""
    covered = F.adaptive_avg_pool2d(masks[:, None].float(), grid).flatten(1)  # [B, N]
    most = covered.amax(dim=1, keepdim=True)
    enough = most.clamp(max=grid / masks.shape[-1])
    return CellTargets(((covered >= enough) & (most > 0.0)).float(), (covered == 0.0).float())


def dense_loss(logits: Tensor, targets: CellTargets) -> Tensor:
    """Return the cross-entropy of `[B, N, M]` log-odds over cells, defects and normal cells counting half each.

    Defects cover few cells: unweighted, "nowhere" is the easiest answer. Each image's defect counts alike,
    whatever its size, or the towers would learn the large ones only.
    """
    missed = F.softplus(-logits)  # what an anomalous cell costs
    share = targets.anomalous / targets.anomalous.sum(dim=1, keepdim=True).clamp_min(1.0)
    defects = targets.anomalous.amax(dim=1).sum().clamp_min(1.0)
    alarmed = F.softplus(logits)  # what a normal cell costs
    return 0.5 * (
        (missed.mean(dim=-1) * share).sum() / defects
        + (alarmed.mean(dim=-1) * targets.normal).sum() / targets.normal.sum().clamp_min(1.0)
    )


def image_loss(maps: Tensor, label: Tensor) -> Tensor:
    """Judge each image by its worst cells: cross-entropy, and the defective twin above the normal one.

    Cells alone teach where a defect is, not that a sound part's oddest cell must stay below it.
    """
    worst = maps.topk(TOP_CELLS, dim=1).values.mean(dim=1)  # [B, M]
    judged = F.binary_cross_entropy_with_logits(worst, label[:, None].expand_as(worst))
    normal, anomalous = worst.unflatten(0, (-1, 2)).unbind(dim=1)  # twins stand side by side
    return judged + F.softplus(normal - anomalous).mean()


def pretrain_losses(outputs: PretrainOutputs, batch: Batch, grid: int) -> dict[str, Tensor]:
    """Return each term; their plain sum is what is minimised."""
    masks = batch.masks.to(outputs.maps.device)
    return {
        "contrast": 0.3 * contrastive_loss(outputs.contrast, batch.states),
        "dense": 4.0 * dense_loss(outputs.maps, cell_targets(masks, grid)),
        "image": image_loss(outputs.maps, masks.flatten(1).any(dim=1).float()),
    }
