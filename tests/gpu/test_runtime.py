"""What only a GPU can show. Elsewhere these tests are skipped, and the report says so."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from app.runtime.protocol import Prediction, Query
from app.runtime.ssvp import SSVPRuntime, load_runtime
from app.runtime.towers import GraphedTowers
from model.assembly import SSVP
from model.data.held_out import held_out_samples
from model.export import Thresholds, export_bundle
from tests.configs import TINY_VIT
from tests.towers import disturb

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

SCORE_TOLERANCE, MAP_TOLERANCE = 2e-3, 1e-2
MAX_BATCH = 4


@pytest.fixture(scope="module")
def queries() -> list[tuple[np.ndarray, str]]:
    """Good and bad images of every held-out family."""
    return [(s.image, s.product) for s in held_out_samples(1, 256)]


@pytest.fixture(scope="module")
def expected(queries: list[tuple[np.ndarray, str]]) -> list[Prediction]:
    """What the CPU says in fp32."""
    return _inspect(load_runtime("ssvp-nano", "cpu"), queries)


@pytest.fixture(scope="module")
def runtime() -> SSVPRuntime:
    """The shipped bundle on the GPU, its graphs recorded."""
    loaded = load_runtime("ssvp-nano", "cuda:0", max_batch=MAX_BATCH)
    loaded.warm_up()
    return loaded


def _inspect(runtime: SSVPRuntime, queries: list[tuple[np.ndarray, str]]) -> list[Prediction]:
    return runtime.predict([Query(runtime.prepare(image), name) for image, name in queries])


def test_graphs_are_recorded_for_every_batch_size(runtime: SSVPRuntime) -> None:
    """The driver took them all."""
    assert isinstance(runtime._towers, GraphedTowers)
    assert sorted(runtime._towers._recordings) == [1, 2, 4]


def test_prepared_images_are_pinned(
    runtime: SSVPRuntime, queries: list[tuple[np.ndarray, str]]
) -> None:
    """The worker only starts copies, it waits for none."""
    prepared = runtime.prepare(queries[0][0])
    assert prepared.clip.is_pinned()
    assert prepared.dino.is_pinned()


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7])
def test_scores_and_maps_are_the_processors(
    runtime: SSVPRuntime,
    queries: list[tuple[np.ndarray, str]],
    expected: list[Prediction],
    batch: int,
) -> None:
    """In batches with a recording of their own, in a larger one and in none, the numbers are the CPU's."""
    found = [
        prediction
        for start in range(0, len(queries), batch)
        for prediction in _inspect(runtime, queries[start : start + batch])
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert abs(ours.score - theirs.score) < SCORE_TOLERANCE
        assert np.abs(ours.anomaly_map - theirs.anomaly_map).max() < MAP_TOLERANCE


def test_transformers_and_heads_in_half_precision_give_the_processors_scores(
    queries: list[tuple[np.ndarray, str]], tmp_path: Path
) -> None:
    """A ViT's positions, attention and activations, and ATF in fp16, with weights off their start values."""
    torch.manual_seed(0)
    model = SSVP(TINY_VIT).eval()
    disturb(model.heads)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("gamma_1", "gamma_2")):  # DINOv3's blocks begin without an effect
                parameter.fill_(0.5)
    export_bundle(model, tmp_path, "0", Thresholds(0.5, 0.5), {}, {})
    on_gpu = load_runtime(str(tmp_path), "cuda:0", max_batch=MAX_BATCH)
    on_gpu.warm_up()
    assert on_gpu._head_precision is torch.float16
    found = _inspect(on_gpu, queries)
    for ours, theirs in zip(
        found, _inspect(load_runtime(str(tmp_path), "cpu"), queries), strict=True
    ):
        assert abs(ours.score - theirs.score) < SCORE_TOLERANCE
        assert np.abs(ours.anomaly_map - theirs.anomaly_map).max() < MAP_TOLERANCE


def test_threads_in_turns_get_their_own_results(
    runtime: SSVPRuntime, queries: list[tuple[np.ndarray, str]], expected: list[Prediction]
) -> None:
    """While one batch is computed the next is sent: neither reads what belongs to the other."""

    def inspect(start: int) -> list[tuple[int, Prediction]]:
        numbers = [(start + i) % len(queries) for i in range(1 + start % MAX_BATCH)]
        return list(zip(numbers, _inspect(runtime, [queries[n] for n in numbers]), strict=True))

    with ThreadPoolExecutor(runtime.lanes) as lanes:
        found = [pair for batch in lanes.map(inspect, range(60)) for pair in batch]
    for number, ours in found:
        assert abs(ours.score - expected[number].score) < SCORE_TOLERANCE
        assert np.abs(ours.anomaly_map - expected[number].anomaly_map).max() < MAP_TOLERANCE


def test_memory_is_told(runtime: SSVPRuntime) -> None:
    """Operators see what torch holds and what there is."""
    memory = runtime.memory()
    assert 0 < memory["torch"] <= memory["used"] <= memory["total"]
