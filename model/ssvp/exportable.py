"""The heads as the ONNX graph sees them: named tensors in, named tensors out.

Knows the order and precision of inputs and outputs, which exporter and runtime share; knows no file.
"""

import copy

import torch
from torch import Tensor, nn

from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.ssvp.heads import Heads, SSVPHeads
from model.ssvp.hsvs import HSVS

HEAD_OUTPUT_NAMES = ("score", "score_global", "score_local", "anomaly_map")


def head_input_names(config: SSVPConfig) -> list[str]:
    """Name the exported graph's inputs, in order."""
    towers = ["clip", "dino"] if config.uses_dino else ["clip"]
    names = []
    for tower in towers:
        names += [f"{tower}_class", *(f"{tower}_patches_{i}" for i in range(config.levels))]
    return [*names, "text_bank"]


def head_inputs(
    clip: TowerFeatures,
    dino: TowerFeatures | None,
    text: Tensor,
    precision: torch.dtype = torch.float32,
) -> tuple[Tensor, ...]:
    """Line up tokens and text bank in the order of `head_input_names`, contiguous.

    Args:
        clip: CLIP's tokens.
        dino: DINO's tokens, of a model with that tower.
        text: T_init `[B, P, D]`; fp32 afterwards.
        precision: of the tokens afterwards, see `ExportableHeads`.
    """
    towers = [clip] if dino is None else [clip, dino]
    ordered = [t for f in towers for t in (f.class_token, *f.patch_tokens)]
    tokens = tuple(t.to(precision).contiguous() for t in ordered)
    return (*tokens, text.to(torch.float32).contiguous())


class HalfHSVS(nn.Module):
    """HSVS in fp16 between tokens and results in fp32.

    It is nearly all of the heads' work. Cosines divided by tau, rarity's inverses and the maps, which need more
    digits, stay outside.
    """

    def __init__(self, hsvs: HSVS) -> None:
        super().__init__()
        self.hsvs = copy.deepcopy(hsvs).half()

    def forward(
        self, clip: TowerFeatures, dino: TowerFeatures | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return V_global and V_local as `HSVS` does."""
        v_global, v_local = self.hsvs(clip.half(), None if dino is None else dino.half())
        return v_global.float(), tuple(v.float() for v in v_local)


class ExportableHeads(nn.Module):
    """The heads with tensors in and tensors out, in the order of `head_input_names`.

    Args:
        heads: not changed.
        config: theirs.
        half: take tokens in fp16 and let HSVS work in it, for GPUs.
    """

    def __init__(self, heads: Heads, config: SSVPConfig, *, half: bool = False) -> None:
        super().__init__()
        self.heads = _with_half_hsvs(heads) if half else heads
        self.per_tower = 1 + config.levels

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return score, score_global and score_local `[B]` and the anomaly map `[B, H, W]`."""
        *tokens, text = tensors
        starts = range(0, len(tokens), self.per_tower)
        towers = [
            TowerFeatures(tokens[i], tuple(tokens[i + 1 : i + self.per_tower])).float()
            for i in starts
        ]
        clip, dino = towers[0], towers[1] if len(towers) > 1 else None
        scores = self.heads(clip, dino, text).scores
        anomaly_map = self.heads.anomaly_map(scores.grid_map)
        return scores.score, scores.score_global, scores.score_local, anomaly_map


def _with_half_hsvs(heads: Heads) -> Heads:
    if not isinstance(heads, SSVPHeads):
        raise TypeError(f"{type(heads).__name__} have no HSVS")
    shared = copy.copy(heads)  # its own children, the same weights
    shared._modules = {**heads._modules, "hsvs": HalfHSVS(heads.hsvs)}
    return shared
