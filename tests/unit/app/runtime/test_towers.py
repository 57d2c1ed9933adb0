"""The towers as they serve: precisions, and batches that run in a larger recording."""

import shutil
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from app.errors import StartError
from app.runtime.protocol import Prediction, Query
from app.runtime.ssvp import SSVPRuntime, load_runtime
from app.runtime.towers import (
    GraphedTowers,
    Towers,
    TowerTokens,
    _Recording,
    compile_tower,
    tower_dtype,
)
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.inference import optimised
from model.config import SSVPConfig
from model.data.held_out import held_out_samples
from model.preprocess import TowerImages
from tests.configs import MICRO, TINY_VIT

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
SCORE_TOLERANCE, MAP_TOLERANCE = 2e-3, 1e-2  # what half the digits may cost


def test_precision_follows_the_device_unless_it_is_chosen() -> None:
    """Half precision where it is fast."""
    assert tower_dtype("auto", CPU) is torch.float32
    assert tower_dtype("auto", GPU) is torch.float16
    assert tower_dtype("bf16", GPU) is torch.bfloat16
    assert tower_dtype("fp32", GPU) is torch.float32


@pytest.mark.parametrize(("dtype", "rounded"), [(torch.float32, False), (torch.float16, True)])
def test_fp32_is_not_tf32(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, rounded: bool
) -> None:
    """Who chooses fp32 for a GPU gets its digits in convolutions and in matrix products."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    Towers(ClipTower(TINY_VIT).eval(), None, CPU, dtype)
    assert torch.backends.cudnn.allow_tf32 is rounded
    assert torch.get_float32_matmul_precision() == "highest"


def _inspect(runtime: SSVPRuntime) -> list[Prediction]:
    samples = held_out_samples(1, 256)
    return runtime.predict([Query(runtime.prepare(s.image), s.product) for s in samples])


def test_half_precision_gives_the_same_scores_and_maps() -> None:
    """The shipped model in fp16 against fp32, on good and bad images of every held-out family."""
    full = _inspect(load_runtime("ssvp-nano", "cpu"))
    half = _inspect(load_runtime("ssvp-nano", "cpu", "fp16"))
    assert any(a.score != b.score for a, b in zip(full, half, strict=True))
    for exact, rounded in zip(full, half, strict=True):
        assert abs(exact.score - rounded.score) < SCORE_TOLERANCE
        assert np.abs(exact.anomaly_map - rounded.anomaly_map).max() < MAP_TOLERANCE


@dataclass
class _Replayed:
    """What a CUDA graph does, on the CPU: computes what lies in its input into its output."""

    towers: Towers
    images: TowerImages
    tokens: TowerTokens
    replays: int = 0

    def replay(self) -> None:
        self.replays += 1
        fresh = self.towers(self.images)
        assert fresh.dino is not None
        assert self.tokens.dino is not None
        pairs = [(self.tokens.clip, fresh.clip), (self.tokens.dino, fresh.dino)]
        for old, new in pairs:
            old.class_token.copy_(new.class_token)
            for target, source in zip(old.patch_tokens, new.patch_tokens, strict=True):
                target.copy_(source)


@pytest.fixture
def towers() -> Towers:
    """Two small towers on the CPU."""
    torch.manual_seed(0)
    return Towers(ClipTower(TINY_VIT).eval(), DinoTower(TINY_VIT).eval(), CPU, torch.float32)


def _images(count: int, seed: int) -> TowerImages:
    generator = torch.Generator().manual_seed(seed)

    def noise(side: int) -> torch.Tensor:
        return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)

    return TowerImages(noise(TINY_VIT.clip_size_px), noise(TINY_VIT.dino_size_px))


@torch.inference_mode()
def test_a_batch_runs_in_the_next_larger_recording(towers: Towers) -> None:
    """Three images in a recording of four have the tokens they have alone, whatever was there before."""
    graphed = GraphedTowers(towers, TINY_VIT, CPU)
    still = _images(4, seed=1)
    replayed = _Replayed(towers, still, towers(still))
    graphed._recordings[4] = _Recording(replayed, still, replayed.tokens)  # type: ignore[arg-type]
    for seed in (2, 3):
        images = _images(3, seed)
        found, expected = graphed(images, 1), towers(images)
        assert found.dino is not None
        assert expected.dino is not None
        torch.testing.assert_close(found.clip.class_token, expected.clip.class_token)
        torch.testing.assert_close(found.dino.patch_tokens, expected.dino.patch_tokens)
    assert replayed.replays == 2


@torch.inference_mode()
def test_a_batch_larger_than_every_recording_is_computed_all_the_same(towers: Towers) -> None:
    """Nothing is cut off."""
    found = GraphedTowers(towers, TINY_VIT, CPU)(_images(5, seed=1), 1)
    assert len(found.clip.class_token) == 5


class _OneDevice(TorchDispatchMode):
    """Refuses operators that read one device and write to another."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        used = {t.device for t in tree_leaves((args, result)) if isinstance(t, torch.Tensor)}
        assert len(used) <= 1, f"{func} is on {used}"
        return result


@pytest.mark.parametrize("config", [TINY_VIT, MICRO])
@pytest.mark.parametrize("kind", [ClipTower, DinoTower])
@torch.inference_mode()
def test_a_tower_can_be_recorded(
    config: SSVPConfig, kind: type[ClipTower] | type[DinoTower]
) -> None:
    """Nothing is fetched from the host on the way, which a CUDA graph refuses and without one costs a wait."""
    tower: Any = kind(config).eval()
    optimised(tower, torch.float16).to("meta")  # any device but the host
    side = config.clip_size_px if kind is ClipTower else config.dino_size_px
    with _OneDevice():  # type: ignore[no-untyped-call]
        features = tower(torch.zeros(2, 3, side, side, dtype=torch.uint8, device="meta"))
    assert features.class_token.device.type == "meta"


class _FailsFrom(GraphedTowers):
    """Cannot record batches of some size and larger."""

    def __init__(self, towers: Towers, error: Exception, size: int) -> None:
        super().__init__(towers, TINY_VIT, CPU)
        self._error, self._size = error, size

    def _recorded(self, size: int, pool: Any) -> _Recording:
        if size >= self._size:
            raise self._error
        images = _images(size, seed=1)
        tokens = self._towers(images)
        return _Recording(_Replayed(self._towers, images, tokens), images, tokens)  # type: ignore[arg-type]


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What recording asks of the device that is not there."""
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


@pytest.mark.usefixtures("no_gpu")
@torch.inference_mode()
def test_batches_too_large_for_the_memory_are_not_recorded(
    towers: Towers, caplog: pytest.LogCaptureFixture
) -> None:
    """The service starts with those that fit, and says so."""
    graphed = _FailsFrom(towers, torch.OutOfMemoryError("out of memory"), 4)
    graphed.prepare(8)
    assert sorted(graphed._recordings) == [1, 2]
    assert "no memory to record batches of 8 images" in caplog.text
    assert len(graphed(_images(5, seed=1), 1).clip.class_token) == 5


@pytest.mark.usefixtures("no_gpu")
def test_towers_that_cannot_be_recorded_end_the_start(towers: Towers) -> None:
    """In one line with the first cause and the way out; what came after it says less."""
    error = RuntimeError("CUDA error: capture was invalidated")
    error.__context__ = RuntimeError("Cannot copy between CPU and CUDA tensors\nmore of it")
    with pytest.raises(StartError) as found:
        _FailsFrom(towers, error, 1).prepare(8)
    said = str(found.value)
    assert "batches of 8 images cannot be recorded" in said
    assert "Cannot copy between CPU and CUDA tensors; a smaller" in said
    assert "SSVP_CUDA_GRAPHS=false" in said


@pytest.mark.parametrize("config", [TINY_VIT, MICRO])
@pytest.mark.parametrize("kind", [ClipTower, DinoTower])
@torch.no_grad()
def test_a_tower_is_compiled_as_one_graph(
    config: SSVPConfig, kind: type[ClipTower] | type[DinoTower]
) -> None:
    """No line of either kind of tower keeps it from being compiled whole, for any batch; the tokens stay."""
    torch.manual_seed(0)
    tower: Any = kind(config).eval()
    optimised(tower)
    whole = compile_tower(tower, backend="eager")  # the tracing is torch's own for every backend
    side = config.clip_size_px if kind is ClipTower else config.dino_size_px
    for count in range(1, 11):  # more sizes than torch compiles by default
        images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
        found, expected = whole(images), tower(images)
        torch.testing.assert_close(found.class_token, expected.class_token)
        torch.testing.assert_close(found.patch_tokens, expected.patch_tokens)


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line at the start instead of a trace minutes later."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(StartError, match="C compiler"):
        Towers(
            ClipTower(TINY_VIT).eval(),
            DinoTower(TINY_VIT).eval(),
            CPU,
            torch.float32,
            compiled=True,
        )
