"""SSVP whole: two frozen towers, the prompts, the heads.

Knows how the parts fit. Training and export work with the parts; the runtime runs towers and exported heads.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.config import SSVPConfig
from model.preprocess import TowerImages
from model.prompts import PromptLearner
from model.ssvp.heads import HeadOutputs, SSVPHeads, TowerWidths


class SSVP(nn.Module):
    """One model around two towers, which it freezes.

    Heads and prompts start from the towers' weights (D10), so give it towers that are loaded; without any it
    makes random ones.
    """

    def __init__(
        self, config: SSVPConfig, clip: ClipTower | None = None, dino: DinoTower | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.clip = clip or ClipTower(config)
        self.dino = dino or DinoTower(config)
        self.prompts = PromptLearner(config, self.clip)
        widths = TowerWidths(
            joint=self.clip.joint_width,
            clip=self.clip.level_widths,
            dino=self.dino.level_widths,
            dino_class=self.dino.class_width,
        )
        self.heads = SSVPHeads(config, widths, self.clip.joint_projection())
        self.freeze_towers()

    def freeze_towers(self) -> None:
        """Take the towers out of training: no gradients, no batch statistics."""
        self.clip.requires_grad_(requires_grad=False).eval()
        self.dino.requires_grad_(requires_grad=False).eval()

    def train(self, mode: bool = True) -> "SSVP":
        """Switch the heads and prompts; frozen towers stay in evaluation mode."""
        super().train(mode)
        self.clip.eval()
        self.dino.eval()
        return self

    def text_bank(self, products: Sequence[str]) -> Tensor:
        """Return T_init `[B, P, D]`, encoding each distinct name once."""
        names = list(dict.fromkeys(products))
        bank: Tensor = self.prompts(self.clip, names)
        return bank[[names.index(p) for p in products]]

    def forward(self, images: TowerImages, products: Sequence[str]) -> HeadOutputs:
        """Score images of the named products, one name an image."""
        outputs: HeadOutputs = self.heads(
            self.clip(images.clip), self.dino(images.dino), self.text_bank(products)
        )
        return outputs
