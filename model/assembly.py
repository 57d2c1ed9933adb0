"""SSVP whole: the frozen towers, the prompts, the heads.

Knows how the parts fit, and which kind of prompts and heads a config asks for.
Training and export work with the parts; the runtime runs towers and exported heads.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.baselines.linear import LinearHeads
from model.baselines.static import StaticHeads, StaticPrompts
from model.config import SSVPConfig
from model.preprocess import TowerImages
from model.prompts import PromptLearner
from model.ssvp.heads import HeadOutputs, Heads, SSVPHeads, TowerWidths


def build_dino(config: SSVPConfig) -> DinoTower | None:
    """Build the DINO tower, where any head reads it."""
    return DinoTower(config) if config.uses_dino else None


def build_prompts(config: SSVPConfig, clip: ClipTower) -> PromptLearner | StaticPrompts:
    """Build the prompts a config asks for; learned ones start from the CLIP tower's embeddings."""
    return StaticPrompts() if config.heads == "static" else PromptLearner(config, clip)


def build_heads(config: SSVPConfig, clip: ClipTower, dino: DinoTower | None) -> Heads:
    """Build the heads a config asks for, to fit the towers."""
    widths = TowerWidths(
        joint=clip.joint_width,
        clip=clip.level_widths,
        dino=() if dino is None else dino.level_widths,
        dino_class=0 if dino is None else dino.class_width,
    )
    if config.heads == "static":
        return StaticHeads(config, clip.temperature)
    if config.heads == "linear":
        return LinearHeads(config, widths)
    return SSVPHeads(config, widths, clip.joint_projection())


class SSVP(nn.Module):
    """One model around its towers, which it freezes.

    Heads and prompts start from the towers' weights (D10), so give it towers that are loaded; without any it
    makes random ones.
    """

    def __init__(
        self, config: SSVPConfig, clip: ClipTower | None = None, dino: DinoTower | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.clip = clip or ClipTower(config)
        self.dino = dino or build_dino(config)
        self.prompts = build_prompts(config, self.clip)
        self.heads = build_heads(config, self.clip, self.dino)
        self.freeze_towers()

    def freeze_towers(self) -> None:
        """Take the towers out of training: no gradients, no batch statistics."""
        for tower in self.towers():
            tower.requires_grad_(requires_grad=False).eval()

    def towers(self) -> list[nn.Module]:
        """Return the towers there are."""
        return [self.clip] if self.dino is None else [self.clip, self.dino]

    def train(self, mode: bool = True) -> "SSVP":
        """Switch the heads and prompts; frozen towers stay in evaluation mode."""
        super().train(mode)
        for tower in self.towers():
            tower.eval()
        return self

    def text_bank(self, products: Sequence[str]) -> Tensor:
        """Return T_init `[B, P, D]`, encoding each distinct name once."""
        names = list(dict.fromkeys(products))
        bank: Tensor = self.prompts(self.clip, names)
        return bank[[names.index(p) for p in products]]

    def features(self, images: TowerImages) -> tuple[TowerFeatures, TowerFeatures | None]:
        """Run the towers there are."""
        return self.clip(images.clip), None if self.dino is None else self.dino(images.dino)

    def forward(self, images: TowerImages, products: Sequence[str]) -> HeadOutputs:
        """Score images of the named products, one name an image."""
        clip, dino = self.features(images)
        outputs: HeadOutputs = self.heads(clip, dino, self.text_bank(products))
        return outputs
