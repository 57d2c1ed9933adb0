"""The figures of Table 4, by hand: two defective patches of two levels, states and static prompts as given."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from model.alignment import Alignment, measure_alignment
from model.assembly import SSVP
from model.backbones.features import TowerFeatures
from model.baselines.static import StaticPrompts
from model.ssvp.heads import SSVPHeads
from model.tokens import TokenBatch
from tests.configs import TINY_VIT

NORMAL, ANOMALOUS = torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8])


class _Levels(nn.Module):
    """Stands for HSVS: tokens of two levels, 16 patches each."""

    def forward(self, *towers: object) -> tuple[None, tuple[torch.Tensor, ...]]:
        """Return unlike tokens at patches 0 and 5, and what must not count elsewhere."""
        levels = ANOMALOUS.repeat(2, 1, 16, 1)  # [levels, B, N, D]
        levels[0, 0, [0, 5]] = torch.tensor([[3.0, 0.0], [0.0, 2.0]])  # cosines .6 and .8
        levels[1, 0, [0, 5]] = torch.tensor([[-1.0, 0.0], [0.0, 1.0]])  # cosines -.6 and .8
        return None, tuple(levels)


def test_alignment_is_of_defective_patches_and_of_whole_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cosines .6, .8, -.6 and .8 average to .4; the normal state is a quarter turn off, the other opposite."""
    model = SSVP(TINY_VIT).eval()
    heads = model.heads
    assert isinstance(heads, SSVPHeads)
    heads.hsvs = _Levels()  # type: ignore[assignment]
    count = TINY_VIT.normal_prompts
    final = torch.stack([*[2.0 * NORMAL] * count, ANOMALOUS])[None]  # [B, P, D]
    monkeypatch.setattr(SSVPHeads, "forward", lambda *_: SimpleNamespace(text=final))
    static = torch.stack([torch.tensor([0.0, 1.0]), -ANOMALOUS])[None]  # [B, 2, D]
    monkeypatch.setattr(StaticPrompts, "forward", lambda *_: static)
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)  # four cells a side
    masks[0, :2, :2] = masks[0, 2:4, 2:4] = True
    nothing = TowerFeatures(torch.zeros(1, 2), ())
    found = measure_alignment(model, TokenBatch(nothing, nothing, masks, ["nut"]))
    assert (found.patches, found.images) == (4, 1)
    assert found.figures() == pytest.approx(
        {"TIR-FG": 0.4, "SCD-normal": math.sqrt(2), "SCD-abnormal": 2.0}, abs=1e-6
    )


def test_alignments_of_batches_add_up() -> None:
    """Means are over all patches and images, not over batches."""
    both = Alignment(1, 0.5, 1, 1.0, 0.0) + Alignment(3, 0.9, 1, 0.0, 0.5)
    assert both.figures() == pytest.approx(
        {"TIR-FG": 0.35, "SCD-normal": 0.5, "SCD-abnormal": 0.25}
    )
