"""Weights that would load into a model they were not trained in are refused, with the option that helps."""

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.backbones.clip import ClipTower
from model.config import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    OPENAI_MEAN,
    PRESETS,
    SSVP_BASE,
    SSVP_LARGE,
    SSVPConfig,
)
from model.weights import fetch
from model.weights.fetch import fetch_towers
from model.weights.files import WeightsError
from model.weights.hub import dino_file
from model.weights.published import OPENAI, check_clip, check_dino
from tests.configs import MICRO


def test_presets_are_as_their_weights_were_trained() -> None:
    """Activation, mean and deviation of every preset are those that open_clip and timm publish."""
    for config in PRESETS.values():
        check_clip(config, config.clip_weights)
        check_dino(config)


@pytest.mark.parametrize("name", ["ViT-B-16", "ViT-L-14", "ViT-B-32", "RN50"])
def test_gelu_is_no_quick_gelu(name: str) -> None:
    """OpenAI's weights under open_clip's plain name would be computed with another activation."""
    config = replace(SSVP_BASE, clip_model=name)
    with pytest.raises(WeightsError, match=f"QuickGELU; --set clip_model={name}-quickgelu"):
        check_clip(config, OPENAI)
    check_clip(replace(config, clip_model=f"{name}-quickgelu"), OPENAI)


def test_quick_gelu_is_no_gelu() -> None:
    """And the other way round: LAION trained with GELU."""
    with pytest.raises(WeightsError, match=r"with GELU; --set clip_model=ViT-B-16;"):
        check_clip(SSVP_BASE, "laion2b_s34b_b88k")
    check_clip(replace(SSVP_BASE, clip_model="ViT-B-16"), "laion2b_s34b_b88k")


def test_pixels_are_scaled_as_the_weights_expect() -> None:
    """DINOv3 of satellite pictures has its own mean and deviation; the message is what to set."""
    satellite = replace(SSVP_LARGE, dino_weights="sat493m")
    options = "--set dino_mean=[0.43,0.411,0.296] --set dino_std=[0.213,0.156,0.143]"
    with pytest.raises(WeightsError, match=re.escape(options)):
        check_dino(satellite)
    check_dino(replace(satellite, dino_mean=(0.43, 0.411, 0.296), dino_std=(0.213, 0.156, 0.143)))
    other = replace(SSVP_LARGE, clip_mean=IMAGENET_MEAN)
    with pytest.raises(WeightsError, match=re.escape(f"clip_mean=[{OPENAI_MEAN[0]},")):
        check_clip(other, OPENAI)


def test_weights_nobody_published_are_not_compared() -> None:
    """A tag of one's own, or none, says nothing about pixels and activation."""
    own = replace(SSVP_LARGE, dino_weights="ours", dino_std=IMAGENET_MEAN, clip_std=IMAGENET_STD)
    check_dino(own)
    check_clip(own, "ours")
    check_clip(replace(own, clip_model="ViT-L-14-336"), "")
    with pytest.raises(WeightsError, match="no published weights"):
        dino_file(own)


@pytest.mark.parametrize(
    "config",
    [replace(SSVP_BASE, clip_model="ViT-B-16"), replace(SSVP_BASE, dino_mean=OPENAI_MEAN)],
    ids=["clip", "dino"],
)
def test_fetch_asks_before_it_builds_or_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: SSVPConfig
) -> None:
    """Neither tower's weights are looked for where either would be wrong."""
    monkeypatch.setattr(fetch, "ClipTower", None)  # calling it would fail
    with pytest.raises(WeightsError, match="--set"):
        fetch_towers(config, tmp_path, None, None, print)


def test_openais_own_file_means_quick_gelu(tmp_path: Path) -> None:
    """A TorchScript archive is OpenAI's whatever the tag says; of other files the tag is believed."""
    archive, plain = tmp_path / "openai.pt", tmp_path / "plain.pt"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("openai/code/clip.py", "")
    clip_only = replace(MICRO, heads="static")
    with pytest.raises(WeightsError, match="QuickGELU"):
        fetch_towers(clip_only, tmp_path / "out", archive, None, print)
    torch.save(ClipTower(clip_only).model.state_dict(), plain)
    fetch_towers(clip_only, tmp_path / "out", plain, None, print)
    assert (tmp_path / "out" / "clip.safetensors").exists()
