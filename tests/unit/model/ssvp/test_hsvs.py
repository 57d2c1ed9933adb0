"""HSVS against attention written as loops."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.features import TowerFeatures
from model.ssvp.hsvs import HSVS, ClassATF, ConcatFusion, PatchATF

FLOAT_NOISE = 1e-5  # two orders of summation in fp32


def _randomised(module: nn.Module) -> nn.Module:
    """Give every parameter a value, also those that start at zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.eval()


def _loop_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Eqs. 2-4 for one image, one query and one head at a time."""
    count, width = query.shape
    d_head = width // heads
    result = torch.zeros(count, width)
    for head in range(heads):
        cut = slice(head * d_head, (head + 1) * d_head)
        for n in range(count):
            logits = [
                float(query[n, cut] @ key[m, cut]) / math.sqrt(d_head) for m in range(len(key))
            ]
            largest = max(logits)
            weights = [math.exp(v - largest) for v in logits]
            for m, weight in enumerate(weights):
                result[n, cut] += weight / sum(weights) * value[m, cut]
    return result


@torch.no_grad()
def test_patch_atf_equals_loop_written_attention() -> None:
    """Both directions, both norms, MLP and residual give what eqs. 2-5 say, head by head."""
    atf = _randomised(PatchATF(width=8, dino_width=6, heads=2))
    assert isinstance(atf, PatchATF)
    clip, dino = torch.randn(2, 5, 8), torch.randn(2, 5, 6)
    found = atf(clip, dino)
    for image in range(2):
        c, d = clip[image], dino[image]
        a_cd = _loop_attention(atf.clip_query(c), atf.dino_key(d), atf.dino_value(d), 2)
        a_dc = _loop_attention(atf.dino_query(d), atf.clip_key(c), atf.clip_value(c), 2)
        both = torch.cat([atf.norm_cd(a_cd), atf.norm_dc(a_dc)], dim=-1)
        first, last = atf.mlp[0], atf.mlp[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        hidden = F.gelu(both @ first.weight.T + first.bias)
        expected = c + hidden @ last.weight.T + last.bias
        torch.testing.assert_close(found[image], expected, atol=FLOAT_NOISE, rtol=1e-4)


@torch.no_grad()
def test_class_atf_is_attention_with_one_key() -> None:
    """The linear value map equals full attention over a single key, whatever the query (D1)."""
    atf = _randomised(ClassATF(width=8, dino_width=6))
    assert isinstance(atf, ClassATF)
    clip, dino = torch.randn(3, 8), torch.randn(3, 6)
    found = atf(clip, dino)
    for image in range(3):
        value_d = atf.dino_value(dino[image : image + 1])
        value_c = atf.clip_value(clip[image : image + 1])
        a_cd = _loop_attention(torch.randn(1, 8), torch.randn(1, 8), value_d, 2)
        a_dc = _loop_attention(torch.randn(1, 8), torch.randn(1, 8), value_c, 2)
        expected = (
            clip[image] + atf.mlp(torch.cat([atf.norm_cd(a_cd), atf.norm_dc(a_dc)], dim=-1))[0]
        )
        torch.testing.assert_close(found[image], expected, atol=FLOAT_NOISE, rtol=1e-4)


@torch.no_grad()
def test_hsvs_starts_as_clip_in_the_joint_space() -> None:
    """Before training, V_local is CLIP's own projection of its tokens and V_global its class token (D10)."""
    projection = torch.randn(4, 6)
    hsvs = HSVS(4, 2, (6, 6), (5, 5), 5, joint_projection=projection)
    clip, dino = (torch.randn(1, 9, 6), torch.randn(1, 9, 6)), (torch.randn(1, 9, 5),) * 2
    clip_class = torch.randn(1, 4)
    v_global, v_local = hsvs(
        TowerFeatures(clip_class, clip), TowerFeatures(torch.randn(1, 5), dino)
    )
    torch.testing.assert_close(v_global, clip_class)
    for level, tokens in enumerate(clip):
        torch.testing.assert_close(v_local[level], tokens @ projection.T)


@torch.no_grad()
def test_hsvs_levels_have_their_own_weights() -> None:
    """A change of one level's fusion leaves the other level alone (D10)."""
    hsvs = HSVS(4, 2, (6, 6), (5, 5), 5)
    clip, dino = (torch.randn(1, 9, 6),) * 2, (torch.randn(1, 9, 5),) * 2
    tokens = (TowerFeatures(torch.randn(1, 4), clip), TowerFeatures(torch.randn(1, 5), dino))
    _, before = hsvs(*tokens)
    second = hsvs.patch_atf[1]
    assert isinstance(second, PatchATF)
    last = second.mlp[2]
    assert isinstance(last, nn.Linear)
    last.bias.fill_(1.0)
    _, after = hsvs(*tokens)
    assert torch.equal(before[0], after[0])
    torch.testing.assert_close(after[1], before[1] + 1.0)


@torch.no_grad()
def test_concatenation_starts_as_clip_and_is_one_map_of_both() -> None:
    """CLIP's tokens first; what DINO says has no weight before training (D10)."""
    fusion = ConcatFusion(width=4, dino_width=5)
    clip, dino = torch.randn(2, 9, 4), torch.randn(2, 9, 5)
    assert torch.equal(fusion(clip, dino), clip)
    _randomised(fusion)
    weight, bias = fusion.linear.weight, fusion.linear.bias
    expected = clip @ weight[:, :4].T + dino @ weight[:, 4:].T + bias
    torch.testing.assert_close(fusion(clip, dino), expected)


@torch.no_grad()
@pytest.mark.parametrize("dino", [None, TowerFeatures(torch.ones(1, 5), (torch.ones(1, 9, 5),))])
def test_without_fusion_clip_alone_reaches_the_joint_space(dino: TowerFeatures | None) -> None:
    """Whether there is a DINO tower, for rarity experts say, or none."""
    hsvs = _randomised(HSVS(4, 2, (6,), (5,), 5, fusion="none"))
    assert isinstance(hsvs, HSVS)
    clip = TowerFeatures(torch.randn(1, 4), (torch.randn(1, 9, 6),))
    v_global, (v_local,) = hsvs(clip, dino)
    assert torch.equal(v_global, clip.class_token)
    assert torch.equal(v_local, hsvs.project[0](clip.patch_tokens[0]))


def test_every_weight_of_hsvs_receives_a_gradient() -> None:
    """No parameter is dead: once fusion is not zero, each one moves the result (D1)."""
    hsvs = _randomised(HSVS(8, 2, (6,), (5,), 5))
    v_global, v_local = hsvs(
        TowerFeatures(torch.randn(1, 8), (torch.randn(1, 9, 6),)),
        TowerFeatures(torch.randn(1, 5), (torch.randn(1, 9, 5),)),
    )
    (v_global.square().sum() + v_local[0].square().sum()).backward()
    # A key's bias shifts all logits of a query alike, which a softmax cannot see.
    dead = [
        name
        for name, p in hsvs.named_parameters()
        if not name.endswith("key.bias") and (p.grad is None or not p.grad.abs().max() > 0)
    ]
    assert dead == []
