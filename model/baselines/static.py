"""Fixed prompts on CLIP as it is: useful before any training, and what training must beat.

After WinCLIP (Jeong et al., CVPR 2023): an ensemble of states and of templates on the text side, windows of
several sizes on the image side. Its windows are crops that CLIP sees one by one; ours are means of the dense
tokens of `model.backbones.clip_values`, at one pass of the tower an image.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.clip import ClipTower
from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.ssvp.heads import HeadOutputs, Heads
from model.ssvp.vtam import anomalous_probability, compose_scores

NORMAL_STATES = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
)
ANOMALOUS_STATES = (
    "damaged {}",
    "broken {}",
    "{} with flaw",
    "{} with defect",
    "{} with damage",
)
TEMPLATES = (
    "a photo of a {}.",
    "a photo of the {}.",
    "a close-up photo of a {}.",
    "a cropped photo of the {}.",
    "a bright photo of a {}.",
    "a dark photo of the {}.",
    "a blurry photo of a {}.",
    "a photo of one {}.",
    "a photo of the {} for visual inspection.",
    "a photo of the {} for anomaly detection.",
)
WINDOWS = (1, 3, 5)  # cells a side


def static_config(towers: SSVPConfig) -> SSVPConfig:
    """Return the config of the static model on another model's CLIP tower.

    The image-level score is the class token's alone (gamma 0): WinCLIP's zero-shot score is.
    """
    return replace(
        towers,
        name=f"{towers.name}-static",
        clip_blocks=towers.clip_blocks[-1:],
        dino_blocks=towers.dino_blocks[-1:],
        clip_tokens="values",
        heads="static",
        rarity_experts=False,
        gamma=0.0,
    )


class StaticPrompts(nn.Module):
    """The mean text embedding of every state in every template, one for normal and one for anomalous."""

    @torch.no_grad()
    def forward(self, clip: ClipTower, products: Sequence[str]) -> Tensor:
        """Return the bank `[len(products), 2, D]`, unit vectors, normal first."""
        return torch.stack([self._states(clip, product) for product in products])

    def _states(self, clip: ClipTower, product: str) -> Tensor:
        means = []
        for states in (NORMAL_STATES, ANOMALOUS_STATES):
            phrases = [state.format(product) for state in states]
            captions = [template.format(phrase) for template in TEMPLATES for phrase in phrases]
            unit = F.normalize(clip.encode_captions(captions), dim=-1)
            means.append(unit.mean(dim=0))
        return F.normalize(torch.stack(means), dim=-1)  # [2, D]


class StaticHeads(Heads):
    """Cosines of windows of dense tokens, and of the class token, to the two states.

    The maps of all window sizes are joined by their harmonic mean, as WinCLIP joins its own.

    Args:
        config: the model.
        temperature: CLIP's own.
    """

    temperature: Tensor

    def __init__(self, config: SSVPConfig, temperature: float) -> None:
        super().__init__(config)
        self.grid = config.grid
        self.local_topk, self.gamma = config.local_topk, config.gamma
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, clip: TowerFeatures, dino: TowerFeatures | None, text: Tensor) -> HeadOutputs:  # noqa: ARG002
        """Score a batch from CLIP's tokens alone; arguments as for `Heads`, `text` `[B, 2, D]`."""
        states = F.normalize(text, dim=-1)
        square = clip.patch_tokens[0].transpose(1, 2).unflatten(-1, (self.grid, self.grid))
        maps = [self._window_map(square, window, states) for window in WINDOWS]
        expert_maps = torch.stack(maps, dim=1)  # [B, E, N]
        grid_map = 1.0 / (1.0 / expert_maps.clamp_min(1e-6)).mean(dim=1)
        image = clip.class_token[:, None]
        score_global = anomalous_probability(image, states, self.temperature)[:, 0]
        scores = compose_scores(expert_maps, grid_map, score_global, self.local_topk, self.gamma)
        return HeadOutputs(scores, text)

    def _window_map(self, square: Tensor, window: int, states: Tensor) -> Tensor:
        mean = F.avg_pool2d(square, window, stride=1, padding=window // 2, count_include_pad=False)
        tokens = mean.flatten(2).transpose(1, 2)  # [B, N, D]
        return anomalous_probability(tokens, states, self.temperature)
