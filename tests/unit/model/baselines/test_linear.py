"""The linear head: it reads DINO alone, linearly."""

import torch

from model.backbones.features import TowerFeatures
from model.baselines.linear import LinearHeads
from model.ssvp.heads import TowerWidths
from tests.configs import TINY_VIT

WIDTHS = TowerWidths(joint=4, clip=(3, 3), dino=(5, 6), dino_class=7)


def _dino() -> TowerFeatures:
    tokens = tuple(torch.randn(2, TINY_VIT.grid**2, w) for w in WIDTHS.dino)
    return TowerFeatures(torch.randn(2, 7), tokens)


@torch.no_grad()
def test_scores_do_not_depend_on_clip_or_text() -> None:
    """Other CLIP tokens and other prompts leave every score as it is."""
    torch.manual_seed(0)
    heads, dino = LinearHeads(TINY_VIT, WIDTHS), _dino()
    found = [
        heads(TowerFeatures(torch.randn(2, 4), ()), dino, torch.randn(2, 6, 4)).scores
        for _ in range(2)
    ]
    assert torch.equal(found[0].grid_map, found[1].grid_map)
    assert torch.equal(found[0].score, found[1].score)


@torch.no_grad()
def test_log_odds_are_the_mean_of_linear_maps() -> None:
    """One cell by hand: layer norm, dot product and bias at each level, the mean, the sigmoid."""
    torch.manual_seed(0)
    heads, dino = LinearHeads(TINY_VIT, WIDTHS), _dino()
    found = heads(TowerFeatures(torch.randn(2, 4), ()), dino, torch.randn(2, 6, 4)).scores
    logits = []
    for level, tokens in zip(heads.patches, dino.patch_tokens, strict=True):
        token = tokens[1, 3]
        spread = (token.var(correction=0) + 1e-5).sqrt()
        weight, bias = level.get_parameter("weight")[0], level.get_parameter("bias")
        logits.append((token - token.mean()) / spread @ weight + bias[0])
    expected = torch.sigmoid(torch.stack(logits).mean())
    torch.testing.assert_close(found.grid_map[1, 3], expected)
