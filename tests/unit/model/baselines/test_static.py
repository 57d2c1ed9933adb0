"""The static model: text by hand, windows by hand, and nothing that learns."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.assembly import SSVP
from model.backbones.features import TowerFeatures
from model.baselines.static import (
    ANOMALOUS_STATES,
    NORMAL_STATES,
    TEMPLATES,
    StaticHeads,
    StaticPrompts,
    static_config,
)
from tests.configs import TINY_VIT

CONFIG = static_config(TINY_VIT)
FLOAT_NOISE = 1e-5


@torch.no_grad()
def test_bank_is_the_mean_over_states_and_templates() -> None:
    """Each state's vector is the unit mean of the unit embeddings of all its sentences."""
    torch.manual_seed(0)
    clip = SSVP(CONFIG).clip
    bank = StaticPrompts()(clip, ["metal nut", "tile"])
    assert bank.shape == (2, 2, clip.joint_width)
    for row, states in enumerate((NORMAL_STATES, ANOMALOUS_STATES)):
        sentences = [t.format(s.format("tile")) for s in states for t in TEMPLATES]
        each = [F.normalize(clip.encode_captions([s])[0], dim=0) for s in sentences]
        expected = F.normalize(torch.stack(each).mean(dim=0), dim=0)
        torch.testing.assert_close(bank[1, row], expected, atol=FLOAT_NOISE, rtol=0)


@torch.no_grad()
def test_windows_are_means_of_tokens_joined_harmonically() -> None:
    """One corner cell by hand: windows of 1, 2x2 and 3x3 cells, what lies outside left out."""
    torch.manual_seed(0)
    heads = StaticHeads(CONFIG, temperature=0.5).eval()
    side, width = CONFIG.grid, 6
    tokens, text = torch.randn(1, side * side, width), torch.randn(1, 2, width)
    outputs = heads(TowerFeatures(torch.randn(1, width), (tokens,)), None, text)
    square = tokens.view(side, side, width)
    parts = []
    for reach in (1, 2, 3):
        mean = square[:reach, :reach].reshape(-1, width).mean(dim=0)
        cosine = F.cosine_similarity(mean[None], text[0], dim=-1).numpy() / 0.5
        parts.append(np.exp(cosine[1]) / np.exp(cosine).sum())
    expected = len(parts) / sum(1.0 / p for p in parts)
    assert float(outputs.scores.grid_map[0, 0]) == pytest.approx(expected, abs=FLOAT_NOISE)


def test_static_model_needs_no_dino_and_learns_nothing() -> None:
    """Without a DINO tower and without a parameter outside CLIP; the image score is the class token's."""
    model = SSVP(CONFIG).eval()
    assert model.dino is None
    assert not list(model.prompts.parameters())
    assert not list(model.heads.parameters())
    assert CONFIG.gamma == 0.0
    assert float(model.heads.get_buffer("temperature")) == pytest.approx(model.clip.temperature)
