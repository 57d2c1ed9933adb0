"""The heads as the ONNX graph sees them: named tensors in, named tensors out.

Knows the order of inputs and outputs, which exporter and runtime share; knows no file.
"""

import torch
from torch import Tensor, nn

from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.ssvp.heads import Heads

HEAD_OUTPUT_NAMES = ("score", "score_global", "score_local", "anomaly_map")


def head_input_names(config: SSVPConfig) -> list[str]:
    """Name the exported graph's inputs, in order."""
    towers = ["clip", "dino"] if config.uses_dino else ["clip"]
    names = []
    for tower in towers:
        names += [f"{tower}_class", *(f"{tower}_patches_{i}" for i in range(config.levels))]
    return [*names, "text_bank"]


def head_inputs(
    clip: TowerFeatures, dino: TowerFeatures | None, text: Tensor
) -> tuple[Tensor, ...]:
    """Line up tokens and text bank in the order of `head_input_names`, contiguous and in fp32."""
    towers = [clip] if dino is None else [clip, dino]
    ordered = [t for f in towers for t in (f.class_token, *f.patch_tokens)]
    return tuple(t.to(torch.float32).contiguous() for t in (*ordered, text))


class ExportableHeads(nn.Module):
    """The heads with tensors in and tensors out, in the order of `head_input_names`."""

    def __init__(self, heads: Heads, config: SSVPConfig) -> None:
        super().__init__()
        self.heads = heads
        self.per_tower = 1 + config.levels

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return score, score_global and score_local `[B]` and the anomaly map `[B, H, W]`."""
        *tokens, text = tensors
        starts = range(0, len(tokens), self.per_tower)
        towers = [
            TowerFeatures(tokens[i], tuple(tokens[i + 1 : i + self.per_tower])) for i in starts
        ]
        clip, dino = towers[0], towers[1] if len(towers) > 1 else None
        scores = self.heads(clip, dino, text).scores
        anomaly_map = self.heads.anomaly_map(scores.grid_map)
        return scores.score, scores.score_global, scores.score_local, anomaly_map
