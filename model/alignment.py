"""How well text and image meet: the two figures of the paper's Table 4.

Knows the heads from inside; knows no file.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model.assembly import SSVP
from model.baselines.static import StaticPrompts
from model.data.masks import cell_mask
from model.ssvp.heads import SSVPHeads
from model.ssvp.vtam import state_embeddings
from model.tokens import TokenBatch


@dataclass(frozen=True)
class Alignment:
    """Sums over images, so that batches add up.

    Attributes:
        patches: anomalous patches seen, over all levels.
        cosine: sum of their cosines to the anomalous state of T_final.
        images: images seen.
        normal_distance: sum of the distances of T_final's normal state to the static prompt's.
        anomalous_distance: likewise of the anomalous state.
    """

    patches: int = 0
    cosine: float = 0.0
    images: int = 0
    normal_distance: float = 0.0
    anomalous_distance: float = 0.0

    def __add__(self, other: "Alignment") -> "Alignment":
        """Join what was seen of two sets of images."""
        return Alignment(
            self.patches + other.patches,
            self.cosine + other.cosine,
            self.images + other.images,
            self.normal_distance + other.normal_distance,
            self.anomalous_distance + other.anomalous_distance,
        )

    def figures(self) -> dict[str, float]:
        """Return the means under the paper's names."""
        return {
            "TIR-FG": self.cosine / max(1, self.patches),
            "SCD-normal": self.normal_distance / max(1, self.images),
            "SCD-abnormal": self.anomalous_distance / max(1, self.images),
        }


@torch.inference_mode()
def measure_alignment(model: SSVP, batch: TokenBatch) -> Alignment:
    """Measure one batch.

    TIR-FG is the mean cosine of the patches under the mask to T_final's anomalous state, over all levels. SCD
    is the Euclidean distance between the unit vectors of T_final's states and of the static prompts'. The
    paper gives neither formula; these fit its description.

    Raises:
        ValueError: for heads without prompts of their own.
    """
    heads = model.heads
    if not isinstance(heads, SSVPHeads):
        raise ValueError("alignment is defined for the method's own heads only")
    text = model.text_bank(batch.products)
    final = heads(batch.clip, batch.dino, text).text
    states = state_embeddings(final, model.config.normal_prompts)  # [B, 2, D]
    _, v_local = heads.hsvs(batch.clip, batch.dino)
    anomalous = cell_mask(batch.masks, model.config.grid).flatten(1) > 0.5  # [B, N]
    cosines = [_cosine(tokens, states[:, 1])[anomalous] for tokens in v_local]
    static = _static_states(model, batch.products)
    distance = (states - static).norm(dim=-1)  # [B, 2]
    return Alignment(
        patches=sum(c.numel() for c in cosines),
        cosine=float(sum(c.sum() for c in cosines)),
        images=len(batch.products),
        normal_distance=float(distance[:, 0].sum()),
        anomalous_distance=float(distance[:, 1].sum()),
    )


def _cosine(tokens: Tensor, state: Tensor) -> Tensor:
    return F.cosine_similarity(tokens, state[:, None], dim=-1)  # [B, N]


def _static_states(model: SSVP, products: list[str]) -> Tensor:
    names = list(dict.fromkeys(products))
    bank: Tensor = StaticPrompts()(model.clip, names)
    return bank[[names.index(p) for p in products]]
