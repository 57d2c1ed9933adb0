"""CLIP's dense values against its own attention, told to look at one place only."""

import torch
from torch.nn import functional as F

from model.backbones.clip import ClipTower
from model.backbones.clip_values import resnet_values, transformer_values
from model.baselines.static import static_config
from tests.configs import MICRO, TINY_VIT
from tests.towers import disturb

FLOAT_NOISE = 1e-5


@torch.no_grad()
def test_vit_values_are_attention_of_each_patch_to_itself() -> None:
    """The last block's own attention, masked to the diagonal, gives the same tokens."""
    torch.manual_seed(0)
    visual = ClipTower(TINY_VIT).eval().model.visual
    disturb(visual)
    tokens = torch.randn(2, 16, 48)
    block = visual.transformer.resblocks[-1]
    own_place = torch.full((16, 16), -torch.inf).fill_diagonal_(0.0)
    inner = block.ln_1(tokens)
    attended, _ = block.attn(inner, inner, inner, attn_mask=own_place, need_weights=False)
    expected = visual.ln_post(attended) @ visual.proj
    torch.testing.assert_close(
        transformer_values(visual, tokens), expected, atol=FLOAT_NOISE, rtol=0
    )


@torch.no_grad()
def test_resnet_values_of_a_uniform_map_are_what_pooling_gives() -> None:
    """Where every cell is the same, pooling by attention returns that cell's value."""
    torch.manual_seed(0)
    visual = ClipTower(MICRO).eval().model.visual
    visual.attnpool.positional_embedding.zero_()
    side = MICRO.clip_size_px // 32
    cell = torch.randn(1, visual.attnpool.v_proj.in_features, 1, 1)
    uniform = cell.expand(1, -1, side, side)
    pooled = visual.attnpool(uniform)
    values = resnet_values(visual, uniform, MICRO.grid)
    assert values.shape == (1, MICRO.grid**2, pooled.shape[-1])
    torch.testing.assert_close(values[0], pooled.expand_as(values[0]), atol=FLOAT_NOISE, rtol=0)


@torch.no_grad()
def test_resnet_values_lie_where_their_cells_do() -> None:
    """Each cell's value by itself, then between cells bilinear, row by row."""
    torch.manual_seed(0)
    visual = ClipTower(MICRO).eval().model.visual
    pool = visual.attnpool
    found = torch.randn(2, pool.v_proj.in_features, 2, 3)
    values = pool.c_proj(pool.v_proj(found.permute(0, 2, 3, 1)))  # [B, 2, 3, D]
    upsampled = F.interpolate(values.permute(0, 3, 1, 2), (8, 8), mode="bilinear")
    expected = upsampled.permute(0, 2, 3, 1).reshape(2, 64, -1)
    torch.testing.assert_close(
        resnet_values(visual, found, 8), expected, atol=FLOAT_NOISE, rtol=1e-4
    )


@torch.no_grad()
def test_the_tower_gives_values_at_their_place() -> None:
    """A change in one corner of the image changes that corner's value most, in either kind of tower."""
    for config in (static_config(TINY_VIT), static_config(MICRO)):
        torch.manual_seed(0)
        tower = ClipTower(config).eval()
        size = config.clip_size_px
        plain = torch.full((1, 3, size, size), 90, dtype=torch.uint8)
        marked = plain.clone()
        marked[..., : size // 4, : size // 4] = 220
        before, after = (tower(i).patch_tokens[0][0] for i in (plain, marked))
        change = (after - before).norm(dim=-1).view(config.grid, config.grid)
        half = config.grid // 2
        assert change[:half, :half].mean() > change[half:, half:].mean(), config.name
