"""Two towers on a CPU: the same tokens however many threads there are, and nothing left running."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from app.runtime.cpu_towers import CpuTowers
from app.runtime.protocol import Query
from app.runtime.ssvp import SSVPRuntime
from app.runtime.towers import TowerTokens
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.bundle import read_bundle
from model.preprocess import TowerImages
from tests.configs import TINY_VIT


@pytest.fixture(scope="module")
def images() -> TowerImages:
    """Three pictures."""
    generator = torch.Generator().manual_seed(0)
    clip, dino = (
        torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8, generator=generator)
        for side in (TINY_VIT.clip_size_px, TINY_VIT.dino_size_px)
    )
    return TowerImages(clip, dino)


@pytest.fixture(scope="module")
def towers() -> CpuTowers:
    """Random ones."""
    torch.manual_seed(0)
    return CpuTowers(
        ClipTower(TINY_VIT).eval(), DinoTower(TINY_VIT).eval(), TINY_VIT, torch.float32
    )


def _flat(tokens: TowerTokens) -> list[Tensor]:
    assert tokens.dino is not None
    return [
        tokens.clip.class_token,
        *tokens.clip.patch_tokens,
        tokens.dino.class_token,
        *tokens.dino.patch_tokens,
    ]


@torch.inference_mode()
@pytest.mark.parametrize("threads", [2, 3])
def test_side_by_side_they_say_the_same(
    towers: CpuTowers, images: TowerImages, threads: int
) -> None:
    """As one after the other; both are frozen."""
    before = torch.get_num_threads()
    try:
        found = zip(_flat(towers(images, threads)), _flat(towers(images, 1)), strict=True)
    finally:
        torch.set_num_threads(before)
    for beside, after in found:
        assert not beside.requires_grad
        torch.testing.assert_close(beside, after, atol=1e-5, rtol=1e-5)


def test_a_model_without_dino_has_clips_tokens(images: TowerImages) -> None:
    """With any number of threads."""
    before = torch.get_num_threads()
    clip_only = CpuTowers(ClipTower(TINY_VIT).eval(), None, TINY_VIT, torch.float32)
    try:
        with torch.inference_mode():
            tokens = clip_only(images, 2)
    finally:
        torch.set_num_threads(before)
    assert tokens.dino is None
    assert tokens.clip.class_token.shape[0] == 3


def test_no_lane_waits_for_another_lanes_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lanes of two threads each: both images are in CLIP's tower at the same time."""
    runtime = SSVPRuntime(read_bundle("ssvp-nano"), torch.device("cpu"), max_batch=2, threads=4)
    assert isinstance(runtime._towers, CpuTowers)
    both, clip = threading.Barrier(2), runtime._towers._clip

    def meet(images: Tensor) -> TowerFeatures:
        both.wait(timeout=30.0)
        return clip(images)

    monkeypatch.setattr(runtime._towers, "_clip", meet)
    query = Query(runtime.prepare(np.zeros((64, 64, 3), dtype=np.uint8)), "object")
    with ThreadPoolExecutor(runtime.lanes) as lanes:
        found = [lanes.submit(runtime.predict, [query], alone=False) for _ in range(2)]
    assert found[0].result()[0].score == pytest.approx(found[1].result()[0].score)


def test_a_failure_waits_for_the_other_tower(
    images: TowerImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next batch would meet it on the same cores."""
    towers = CpuTowers(
        ClipTower(TINY_VIT).eval(), DinoTower(TINY_VIT).eval(), TINY_VIT, torch.float32
    )
    ended = threading.Event()

    def slow(_images: Tensor) -> None:
        time.sleep(0.05)
        ended.set()

    def fail(_images: Tensor) -> None:
        raise ValueError("no")

    monkeypatch.setattr(towers, "_clip", slow)
    monkeypatch.setattr(towers, "_dino", fail)
    before = torch.get_num_threads()
    try:
        with pytest.raises(ValueError, match="no"):
            towers(images, 2)
    finally:
        torch.set_num_threads(before)
    assert ended.is_set()
