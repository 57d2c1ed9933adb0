"""The heads: HSVS, VCPG, rarity and VTAM as one module from tokens to scores. This is what becomes ONNX.

Knows tokens and a text bank; knows neither towers nor files. What every kind of heads has in common stands
here too, `Heads`; the other kinds are in `model.baselines`.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.ssvp.anomaly_map import AnomalyMap
from model.ssvp.hsvs import HSVS
from model.ssvp.rarity import RarityExperts, build_rarity, paired_levels
from model.ssvp.vcpg import VCPG, PromptRefinement
from model.ssvp.vtam import VTAM, AnomalyScores


@dataclass(frozen=True, eq=False)
class TowerWidths:
    """Channel counts the heads must fit: of each level's patch tokens and of DINO's class token.

    A model without a DINO tower has no `dino` levels.
    """

    joint: int
    clip: tuple[int, ...]
    dino: tuple[int, ...]
    dino_class: int


@dataclass(frozen=True, eq=False)
class HeadOutputs:
    """All the heads say.

    Attributes:
        scores: for everyone.
        text: T_final `[B, P, D]`.
        refinement: how VCPG made it, for the training losses; None where no VCPG is.
    """

    scores: AnomalyScores
    text: Tensor
    refinement: PromptRefinement | None = None


class Heads(nn.Module):
    """Any map from the towers' tokens and a text bank to scores."""

    def __init__(self, config: SSVPConfig) -> None:
        super().__init__()
        self.anomaly_map = AnomalyMap(config.grid, config.map_size_px, config.smoothing_sigma_px)

    def forward(self, clip: TowerFeatures, dino: TowerFeatures | None, text: Tensor) -> HeadOutputs:
        """Score a batch.

        Args:
            clip: CLIP's tokens.
            dino: DINO's tokens; None for a model without that tower.
            text: T_init `[B, P, D]`, one bank of prompts an image.
        """
        raise NotImplementedError


class SSVPHeads(Heads):
    """The method: tokens of both towers and the prompts of a product to scores.

    Args:
        config: the model.
        widths: the towers' channel counts.
        joint_projection: see `HSVS`.
    """

    def __init__(
        self, config: SSVPConfig, widths: TowerWidths, joint_projection: Tensor | None
    ) -> None:
        super().__init__(config)
        self.hsvs = HSVS(
            widths.joint,
            config.attention_heads,
            widths.clip,
            widths.dino,
            widths.dino_class,
            joint_projection,
            fusion=config.fusion,
        )
        self.vcpg: VCPG | None = None
        if config.refine_prompts:
            self.vcpg = VCPG(
                widths.joint, config.latent_width, config.latent_tokens, config.attention_heads
            )
        self.rarity: RarityExperts | None = None
        if config.rarity_experts:
            self.rarity = build_rarity(config, widths.clip, widths.dino)
        self.vtam = VTAM(
            widths.joint,
            config.levels,
            normal_prompts=config.normal_prompts,
            extra_experts=0 if self.rarity is None else self.rarity.experts,
            local_topk=config.local_topk,
            gamma=config.gamma,
            temperature=config.temperature,
            gated=config.gate_experts,
        )

    def forward(self, clip: TowerFeatures, dino: TowerFeatures | None, text: Tensor) -> HeadOutputs:
        """Run Algorithm 1 from the tokens on; arguments as for `Heads`."""
        v_global, v_local = self.hsvs(clip, dino)
        refinement = None if self.vcpg is None else self.vcpg(v_global, text)
        final = text if refinement is None else refinement.text
        extra = None
        if self.rarity is not None and dino is not None:
            extra = self.rarity(paired_levels(clip, dino))
        return HeadOutputs(self.vtam(v_global, v_local, final, extra), final, refinement)
