"""The towers: both kinds of each family answer in one shape, and say what the wrapped library says."""

from dataclasses import replace

import open_clip
import pytest
import torch
from torch.nn import functional as F

from model.assembly import SSVP
from model.backbones.clip import ClipTower, build_tokenizer
from model.backbones.dinov3 import DinoTower
from model.backbones.features import Normalise, TowerFeatures, token_width, tokens_on_grid
from model.config import PRESETS, SSVP_LARGE, SSVP_NANO, SSVPConfig
from model.preprocess import TowerImages
from tests.configs import TINY_VIT

BOTH = pytest.mark.parametrize("config", [TINY_VIT, SSVP_NANO], ids=lambda c: c.name)
FLOAT_NOISE = 1e-5


def _noise(size_px: int, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(
        0, 256, (batch, 3, size_px, size_px), dtype=torch.uint8, generator=generator
    )


@BOTH
def test_towers_answer_one_token_a_grid_cell_and_level(config: SSVPConfig) -> None:
    """ViT and convolutional towers alike give N = grid^2 tokens of the announced widths per level."""
    cells = config.grid**2
    clip, dino = ClipTower(config).eval(), DinoTower(config).eval()
    with torch.no_grad():
        semantic, structural = clip(_noise(config.clip_size_px)), dino(_noise(config.dino_size_px))
    assert [t.shape for t in semantic.patch_tokens] == [(2, cells, w) for w in clip.level_widths]
    assert [t.shape for t in structural.patch_tokens] == [(2, cells, w) for w in dino.level_widths]
    assert semantic.class_token.shape == (2, clip.joint_width)
    assert structural.class_token.shape == (2, dino.class_width)


@BOTH
def test_clip_class_token_is_open_clips_image_embedding(config: SSVPConfig) -> None:
    """The class token is what open_clip's encode_image returns."""
    tower = ClipTower(config).eval()
    images = _noise(config.clip_size_px)
    with torch.no_grad():
        expected = tower.model.encode_image(tower.normalise(images))
        torch.testing.assert_close(tower(images).class_token, expected, atol=FLOAT_NOISE, rtol=0)


@BOTH
def test_text_from_embeddings_equals_text_from_ids(config: SSVPConfig) -> None:
    """Feeding token embeddings, cut after the end mark, gives open_clip's own text embedding."""
    tower = ClipTower(config).eval()
    sentence = "a scratched metal nut"
    ids = tower.tokenizer([sentence])
    end = int(ids.argmax())
    with torch.no_grad():
        embeddings = tower.model.token_embedding(ids[:, : end + 1])
        found = tower.encode_embeddings(embeddings, torch.tensor([end]))
        expected = tower.model.encode_text(ids)
        torch.testing.assert_close(found, expected, atol=FLOAT_NOISE, rtol=0)
        torch.testing.assert_close(tower.encode_captions([sentence]), expected)


def test_vit_patch_tokens_of_the_last_block_are_its_normalised_output() -> None:
    """The last CLIP level is ln_post of the transformer's output without the class token."""
    tower = ClipTower(TINY_VIT).eval()
    visual = tower.model.visual
    images = _noise(TINY_VIT.clip_size_px)
    with torch.no_grad():
        x = visual._embeds(tower.normalise(images))
        expected = visual.ln_post(visual.transformer(x))[:, 1:]
        found = tower(images).patch_tokens[-1]
    torch.testing.assert_close(found, expected, atol=FLOAT_NOISE, rtol=0)


def test_dino_tower_stops_at_its_last_used_block() -> None:
    """Blocks above the last one asked for do not change the answer: they are not run."""
    tower = DinoTower(TINY_VIT).eval()
    images = _noise(TINY_VIT.dino_size_px)
    with torch.no_grad():
        before = tower(images)
        for parameter in tower.model.blocks[3].parameters():
            parameter.fill_(float("nan"))
        after = tower(images)
    assert torch.equal(before.class_token, after.class_token)
    assert torch.isfinite(after.patch_tokens[-1]).all()


def test_dino_tower_refuses_blocks_it_does_not_have() -> None:
    """A block beyond the tower's depth is refused by name."""
    with pytest.raises(ValueError, match="has 4 blocks"):
        DinoTower(replace(TINY_VIT, dino_blocks=(1, 5)))


def test_clip_tower_refuses_an_unknown_architecture() -> None:
    """A name open_clip does not know is refused."""
    with pytest.raises(ValueError, match="no-such-model"):
        ClipTower(replace(TINY_VIT, clip_model="no-such-model", clip_config={}))


def test_clip_tower_refuses_towers_of_other_libraries() -> None:
    """Open_clip wraps models of timm and Hugging Face too; ours reads its own two kinds."""
    for name in ("ViT-B-16-SigLIP", "convnext_base_w", "roberta-ViT-B-32"):
        with pytest.raises(ValueError, match="other libraries"):
            ClipTower(replace(SSVP_NANO, clip_model=name, clip_config={}))


def test_full_vocabulary_gives_clips_own_tokenizer() -> None:
    """With CLIP's vocabulary size the ids are open_clip's."""
    sentence = "a photo of a damaged magnetic tile"
    expected = open_clip.get_tokenizer("ViT-L-14-336-quickgelu")([sentence])
    assert torch.equal(build_tokenizer(49408, 77)([sentence]), expected)


@pytest.mark.parametrize("text", ["metal nut", "Gehäuse-Deckel №5", "磁瓦", "x" * 500])
def test_small_vocabulary_spells_any_text(text: str) -> None:
    """Every id lies inside a cut vocabulary, whatever the language, and the end mark is the largest."""
    ids = build_tokenizer(600, 24)([text])
    assert int(ids.max()) == 599
    assert ids.shape == (1, 24)


def test_tokens_on_grid_take_mean_and_peak_of_finer_maps() -> None:
    """A map twice as fine as the grid gives each two by two their mean and maximum, then layer-normalised."""
    feature_map = torch.rand(1, 3, 8, 8)
    expected = torch.stack(
        [
            torch.cat([block.mean(dim=(1, 2)), block.amax(dim=(1, 2))])
            for block in (
                feature_map[0, :, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2]
                for r in range(4)
                for c in range(4)
            )
        ]
    )
    expected = F.layer_norm(expected, (token_width(3, 8, 4),))
    torch.testing.assert_close(tokens_on_grid(feature_map, 4)[0], expected)


@pytest.mark.parametrize("side", [2, 4])
def test_tokens_on_grid_of_a_map_no_finer_keep_its_channels(side: int) -> None:
    """A coarser map is interpolated, one of the grid's size taken as it is; row by row, then normalised."""
    feature_map = torch.rand(2, 3, side, side)
    onto = F.interpolate(feature_map, (4, 4), mode="bilinear").permute(0, 2, 3, 1)
    expected = F.layer_norm(onto.reshape(2, 16, 3), (token_width(3, side, 4),))
    torch.testing.assert_close(tokens_on_grid(feature_map, 4), expected)


def test_pixels_are_normalised_by_channel_in_single_precision() -> None:
    """(x / 255 - mean) / std, rounded to the tower's precision at the end; no file holds the numbers."""
    means, stds = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    normalise = Normalise(means, stds)
    assert not normalise.state_dict()
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    channels = zip(images[0], means, stds, strict=True)
    expected = torch.stack([(x.float() / 255 - mean) / std for x, mean, std in channels])
    wide = normalise(images)[0]
    torch.testing.assert_close(wide, expected)
    normalise.dtype = torch.float16
    assert torch.equal(normalise(images)[0], wide.half())


def test_tokens_change_precision_together() -> None:
    """Class token and all levels, there and back."""
    tokens = TowerFeatures(torch.zeros(1, 2), (torch.zeros(1, 4, 2), torch.zeros(1, 4, 3)))
    for features, dtype in ((tokens.half(), torch.float16), (tokens.half().float(), torch.float32)):
        found = [features.class_token, *features.patch_tokens]
        assert [t.dtype for t in found] == [dtype] * 3


@pytest.mark.parametrize("name", ["ssvp-base", "ssvp-fast"])
def test_smaller_presets_share_the_grid_of_37(name: str) -> None:
    """Both towers meet on 37 x 37 cells at 592 px; the structure tower of ssvp-fast is a ConvNeXt."""
    config = PRESETS[name]
    model = SSVP(config).eval()
    assert model.dino is not None
    assert model.dino.convolutional == (name == "ssvp-fast")
    images = TowerImages(_noise(592, batch=1), _noise(592, batch=1))
    with torch.inference_mode():
        scores = model(images, ["metal nut"]).scores
    assert scores.expert_maps.shape == (1, 4, 37 * 37)
    assert config.grid * 16 == config.clip_size_px == config.dino_size_px == 592


@pytest.mark.parametrize("blocks", [(3, 6, 9, 11), (6, 12, 18, 24)])
def test_both_lists_of_dino_blocks_run(blocks: tuple[int, ...]) -> None:
    """The paper's shallow list and the deep one (D11), on a narrow tower; a bundle's config says which."""
    narrow = {"embed_dim": 48, "num_heads": 2}
    config = replace(
        SSVP_LARGE, dino_blocks=blocks, dino_kwargs=narrow, dino_size_px=64, clip_size_px=56, grid=4
    )
    tower = DinoTower(config).eval()
    with torch.inference_mode():
        assert len(tower(_noise(64, batch=1)).patch_tokens) == 4
    assert tuple(config.to_dict()["dino_blocks"]) == blocks


def test_large_model_has_the_papers_towers_and_map() -> None:
    """ssvp-large with random weights has the towers' known parameter counts and answers 37 x 37 cells."""
    model = SSVP(SSVP_LARGE).eval()
    assert model.dino is not None
    clip = sum(p.numel() for p in model.clip.model.visual.parameters())
    dino = sum(p.numel() for p in model.dino.model.parameters())
    assert round(clip / 1e6, 1) == 305.1
    assert round(dino / 1e6, 1) == 303.1
    images = TowerImages(_noise(518, batch=1), _noise(592, batch=1))
    with torch.inference_mode():
        scores = model(images, ["metal nut"]).scores
        anomaly_map = model.heads.anomaly_map(scores.grid_map)
    assert scores.expert_maps.shape == (1, 4, 37 * 37)
    assert scores.grid_map.shape == (1, 37 * 37)
    assert anomaly_map.shape == (1, 518, 518)
    assert 0.0 <= float(scores.score) <= 1.0
