"""The heads whole: the upsampling operator, determinism, names never seen, batches."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch.nn import functional as F

from model.assembly import SSVP
from model.config import SSVP_NANO, SSVPConfig
from model.preprocess import TowerImages
from model.ssvp.anomaly_map import upsample_and_smooth_matrix
from model.ssvp.heads import SSVPHeads
from model.ssvp.hsvs import ConcatFusion
from model.ssvp.rarity import paired_levels
from tests.configs import MICRO, TINY_VIT

BOTH = pytest.mark.parametrize("config", [TINY_VIT, SSVP_NANO], ids=lambda c: c.name)
FLOAT_NOISE = 1e-5


@pytest.mark.parametrize(
    ("grid", "size_px", "sigma_px"), [(4, 56, 1.0), (16, 256, 4.0), (37, 518, 4.0)]
)
def test_map_operator_equals_interpolation_then_gaussian(
    grid: int, size_px: int, sigma_px: float
) -> None:
    """One matrix on each side equals torch's bilinear upsampling and scipy's symmetric Gaussian (D14)."""
    grid_map = torch.rand(grid, grid, generator=torch.Generator().manual_seed(0))
    matrix = upsample_and_smooth_matrix(grid, size_px, sigma_px)
    found = (matrix @ grid_map @ matrix.T).numpy()
    up = F.interpolate(
        grid_map[None, None], (size_px, size_px), mode="bilinear", align_corners=False
    )
    expected = scipy.ndimage.gaussian_filter(
        up[0, 0].numpy(), sigma_px, mode="reflect", truncate=4.0
    )
    np.testing.assert_allclose(found, expected, atol=FLOAT_NOISE)


def test_map_operator_keeps_probabilities() -> None:
    """A map of ones stays ones: each row of the operator sums to 1."""
    matrix = upsample_and_smooth_matrix(4, 20, 3.0)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(20))


def _model(config: SSVPConfig) -> SSVP:
    torch.manual_seed(0)
    model = SSVP(config)
    with torch.no_grad():
        for parameter in model.heads.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return model.eval()


def test_heads_are_built_as_the_config_says() -> None:
    """Each switch and number reaches its part; what is computed from them is in no file."""
    config = replace(
        TINY_VIT,
        fusion="concat",
        gate_experts=False,
        gamma=0.25,
        local_topk=3,
        temperature=0.1,
        latent_tokens=2,
        smoothing_sigma_px=2.0,
    )
    heads = SSVP(config).heads
    assert isinstance(heads, SSVPHeads)
    assert heads.vcpg is not None
    assert isinstance(heads.hsvs.class_atf, ConcatFusion)
    assert (heads.vcpg.latent_tokens, heads.vtam.moe) == (2, None)
    assert (heads.vtam.gamma, heads.vtam.local_topk) == (0.25, 3)
    assert float(heads.vtam.log_temperature.detach().exp()) == pytest.approx(0.1)
    expected = upsample_and_smooth_matrix(config.grid, config.map_size_px, 2.0)
    assert torch.equal(heads.anomaly_map.upsample, expected)
    assert not any(name.startswith("anomaly_map") for name in heads.state_dict())
    plain = SSVP(replace(config, refine_prompts=False)).heads
    assert isinstance(plain, SSVPHeads)
    assert plain.vcpg is None


@torch.inference_mode()
def test_heads_hand_on_what_each_part_says() -> None:
    """V_global of the fused tokens to VCPG, its T_final and the rarity maps to VTAM."""
    model = _model(MICRO)
    heads, text = model.heads, model.text_bank(["nut", "tile"])
    assert isinstance(heads, SSVPHeads)
    assert heads.vcpg is not None
    assert heads.rarity is not None
    clip, dino = model.features(_images(MICRO, 2))
    assert dino is not None
    found = heads(clip, dino, text)
    v_global, v_local = heads.hsvs(clip, dino)
    final = heads.vcpg(v_global, text).text
    expected = heads.vtam(v_global, v_local, final, heads.rarity(paired_levels(clip, dino)))
    assert torch.equal(found.text, final)
    for name in ("expert_maps", "grid_map", "score_global", "score_local", "score"):
        assert torch.equal(getattr(found.scores, name), getattr(expected, name)), name


def _images(config: SSVPConfig, batch: int) -> TowerImages:
    sizes = (config.clip_size_px, config.dino_size_px)
    clip, dino = (torch.randint(0, 256, (batch, 3, s, s), dtype=torch.uint8) for s in sizes)
    return TowerImages(clip, dino)


@BOTH
@torch.inference_mode()
def test_inference_is_bit_identical_on_repeat(config: SSVPConfig) -> None:
    """The same image under the same name gives the same bits (D5)."""
    model, images = _model(config), _images(config, 2)
    first, second = (model(images, ["nut", "tile"]).scores for _ in range(2))
    assert torch.equal(first.score, second.score)
    assert torch.equal(first.grid_map, second.grid_map)


@BOTH
@torch.inference_mode()
def test_an_image_scores_the_same_alone_and_in_a_batch(config: SSVPConfig) -> None:
    """Neighbours in a batch, of other products even, do not change a result."""
    model, images = _model(config), _images(config, 3)
    products = ["metal nut", "object", "leather"]
    together = model(images, products).scores.score
    for i, product in enumerate(products):
        alone = TowerImages(images.clip[i : i + 1], images.dino[i : i + 1])
        score = model(alone, [product]).scores.score
        torch.testing.assert_close(score[0], together[i], atol=FLOAT_NOISE, rtol=0)


@BOTH
@torch.inference_mode()
@pytest.mark.parametrize("name", ["", "never seen before", "Gehäuse №5", "磁瓦", "long " * 200])
def test_a_name_not_seen_before_works(config: SSVPConfig, name: str) -> None:
    """Any product name gives a finite score in [0, 1], an empty or overlong one too (D9)."""
    score = float(_model(config)(_images(config, 1), [name]).scores.score)
    assert 0.0 <= score <= 1.0


def test_frozen_towers_stay_frozen_in_training() -> None:
    """Switching to training changes no tower: no gradients, no batch statistics."""
    model = SSVP(SSVP_NANO).train()
    before = {k: v.clone() for k, v in model.clip.state_dict().items()}
    model(_images(SSVP_NANO, 2), ["nut", "nut"])
    assert all(torch.equal(v, before[k]) for k, v in model.clip.state_dict().items())
    assert not any(p.requires_grad for m in model.towers() for p in m.parameters())
    assert model.heads.training
