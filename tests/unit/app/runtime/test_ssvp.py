"""The runtime on a freshly exported bundle, for both kinds of tower, and on the shipped one."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from app.errors import StartError
from app.runtime import ssvp
from app.runtime.protocol import OutOfDeviceMemoryError, Prediction, Query
from app.runtime.ssvp import SSVPRuntime, choose_device, load_runtime
from model.assembly import SSVP
from model.bundle import CLIP_FILE, HALF_HEADS_FILE, read_bundle
from model.config import SSVP_NANO, SSVPConfig
from model.export import Thresholds, export_bundle
from model.scoring import predict_torch
from model.types import Sample
from tests.configs import TINY_VIT
from tests.towers import disturb

PARITY = 1e-4  # fp32 in torch against fp32 in onnxruntime

Served = tuple[SSVP, SSVPRuntime, Path]


def _pictures(count: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    names = ("metal nut", "object", "leather", "a name never heard")
    return [
        Sample(
            image=rng.integers(0, 256, (40 + 7 * i, 90, 3), dtype=np.uint8),
            mask=np.zeros((40 + 7 * i, 90), dtype=np.bool_),
            category="x",
            product=names[i % len(names)],
            defect=None,
        )
        for i in range(count)
    ]


@pytest.fixture(scope="module", params=[TINY_VIT, SSVP_NANO], ids=lambda c: c.name)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A model with no parameter at its start value, exported and loaded."""
    config: SSVPConfig = replace(request.param, name="under-test")
    torch.manual_seed(0)
    model = SSVP(config)
    disturb(model.heads, model.prompts)
    folder = tmp_path_factory.mktemp("bundle")
    export_bundle(model.eval(), folder, "9.9", Thresholds(0.6, 0.4), {}, {})
    return model, load_runtime(str(folder), "cpu"), folder


def _predict(runtime: SSVPRuntime, samples: list[Sample]) -> list[Prediction]:
    return runtime.predict([Query(runtime.prepare(s.image), s.product) for s in samples])


def test_runtime_says_what_the_torch_model_says(served: Served) -> None:
    """Towers in torch and heads in ONNX give the scores and maps of the whole model in torch."""
    model, runtime, _ = served
    samples = _pictures(5)
    expected = predict_torch(model, samples)
    for found, reference in zip(_predict(runtime, samples), expected, strict=True):
        assert abs(found.score - reference.score) < PARITY
        np.testing.assert_allclose(found.anomaly_map, reference.anomaly_map, atol=PARITY)


def test_a_mixed_batch_equals_its_images_one_by_one(served: Served) -> None:
    """Products and sizes mix in a batch without touching each other's result, in order."""
    _, runtime, _ = served
    samples = _pictures(8)
    together = _predict(runtime, samples)
    assert len({round(p.score, 4) for p in together}) > 1
    for sample, found in zip(samples, together, strict=True):
        alone = _predict(runtime, [sample])[0]
        assert abs(alone.score - found.score) < PARITY
        np.testing.assert_allclose(alone.anomaly_map, found.anomaly_map, atol=PARITY)


def test_the_golden_image_has_its_recorded_score(served: Served) -> None:
    """The bundle's own picture, decoded and scored, lands within the bundle's tolerance."""
    _, runtime, _ = served
    golden = runtime.info.golden
    with Image.open(io.BytesIO(golden.png)) as opened:
        image = np.asarray(opened.convert("RGB"))
    found = runtime.predict([Query(runtime.prepare(image), golden.product)])[0]
    assert abs(found.score - golden.score) < golden.tolerance


def test_a_bundle_holds_half_precision_towers_but_for_their_vectors(served: Served) -> None:
    """Kernels take half the bytes; variances, biases and the like keep their digits; the model was rounded."""
    model, _, folder = served
    found = load_file(folder / CLIP_FILE)
    for name, expected in model.clip.model.state_dict().items():
        wide = not expected.is_floating_point() or expected.ndim < 2
        assert found[name].dtype == (expected.dtype if wide else torch.float16), name
        assert torch.equal(found[name].to(expected.dtype), expected), name


def test_half_precision_heads_are_exported_and_no_cpu_serves_them(served: Served) -> None:
    """There they would be slower; whatever the towers' precision, a CPU's heads are in fp32."""
    bundle = read_bundle(str(served[2]))
    assert HALF_HEADS_FILE in bundle.files
    runtime = SSVPRuntime(bundle, torch.device("cpu"), "fp16")
    assert runtime._head_precision is torch.float32


def test_info_comes_from_the_bundle(served: Served) -> None:
    """Name, version and thresholds are the manifest's, never the environment's."""
    info = served[1].info
    assert (info.name, info.version, info.device) == ("under-test", "9.9", "cpu")
    assert (info.default_threshold, info.map_threshold) == (0.6, 0.4)


def test_warm_up_leaves_no_trace_in_results(served: Served) -> None:
    """Warming up twice changes no score."""
    _, runtime, _ = served
    before = _predict(runtime, _pictures(1))[0].score
    runtime.warm_up()
    assert _predict(runtime, _pictures(1))[0].score == before


@pytest.mark.parametrize(("fit", "warmed"), [(4, [1, 2, 3, 4]), (2, [1, 2])])
def test_warm_up_runs_every_batch_size_that_fits(
    served: Served, monkeypatch: pytest.MonkeyPatch, fit: int, warmed: list[int]
) -> None:
    """No size is computed for the first time while a line waits; one too large does not stop the start."""
    runtime = SSVPRuntime(read_bundle(str(served[2])), torch.device("cpu"))
    original, sizes = runtime.predict, []

    def small(queries: list[Query]) -> list[Prediction]:
        if len(queries) > fit:
            raise OutOfDeviceMemoryError
        sizes.append(len(queries))
        return original(queries)

    monkeypatch.setattr(SSVPRuntime, "useful_batch", 4)
    monkeypatch.setattr(runtime, "predict", small)
    runtime.warm_up()
    assert sizes == warmed


def test_warm_up_fails_where_one_image_does_not_fit(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that cannot compute anything is not served from."""
    runtime = SSVPRuntime(read_bundle(str(served[2])), torch.device("cpu"))

    def none(queries: list[Query]) -> list[Prediction]:
        raise OutOfDeviceMemoryError

    monkeypatch.setattr(runtime, "predict", none)
    with pytest.raises(OutOfDeviceMemoryError):
        runtime.warm_up()


def test_text_is_encoded_once_per_name_and_the_cache_is_bounded(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known name costs no text pass; the longest unused name is forgotten first."""
    runtime = SSVPRuntime(read_bundle(str(served[2])), torch.device("cpu"))
    encoded: list[str] = []
    original = runtime._prompts.forward

    def counting(clip: object, products: list[str]) -> torch.Tensor:
        encoded.extend(products)
        result: torch.Tensor = original(clip, products)  # type: ignore[arg-type]
        return result

    monkeypatch.setattr(runtime._prompts, "forward", counting)
    monkeypatch.setattr(ssvp, "TEXT_CACHE_SIZE", 2)
    image = runtime.prepare(_pictures(1)[0].image)
    for name in ("a", "b", "a", "c", "a", "b"):
        runtime.predict([Query(image, name)])
    assert encoded == ["a", "b", "c", "b"]


def test_a_damaged_bundle_is_refused_before_anything_is_loaded(
    served: Served, tmp_path: Path
) -> None:
    """A weights file that was exchanged stops the load with one clear line."""
    for file in served[2].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "clip.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0xFF
    weights.write_bytes(data)
    with pytest.raises(StartError, match=r"clip\.safetensors has SHA-256"):
        load_runtime(str(tmp_path))


def test_auto_device_is_the_gpu_where_there_is_one() -> None:
    """`auto` follows the machine, a given name is taken at its word."""
    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert str(choose_device("auto")) == expected
    assert str(choose_device("cpu")) == "cpu"


def test_towers_are_not_compiled_for_every_batch_size() -> None:
    """Without graphs each size up to the largest would be: hours, and more than torch keeps."""
    with pytest.raises(StartError, match="SSVP_COMPILE needs SSVP_CUDA_GRAPHS"):
        load_runtime("ssvp-nano", "cpu", compiled=True, graphed=False)


def test_a_gpu_whose_driver_is_too_old_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be counted, but not computed on."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(choose_device("auto")) == "cpu"
    with pytest.raises(StartError, match="this machine has cpu"):
        choose_device("cuda:0")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", ""])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    """One line that says what there is."""
    with pytest.raises(StartError, match="cpu"):
        choose_device(name)
