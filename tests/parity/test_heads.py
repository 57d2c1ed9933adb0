"""heads.onnx in onnxruntime against the same heads in torch, for both kinds of tower and all kinds of heads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.runtime.onnx_heads import HeadScores, OnnxHeads
from model.assembly import SSVP
from model.baselines.static import static_config
from model.config import SSVP_NANO, SSVPConfig
from model.export import example_head_inputs, export_heads
from model.ssvp.exportable import ExportableHeads, head_input_names
from tests.configs import TINY_VIT
from tests.towers import disturb

KINDS = [
    TINY_VIT,
    SSVP_NANO,
    replace(TINY_VIT, name="concat", fusion="concat", refine_prompts=False, gate_experts=False),
    replace(TINY_VIT, name="clip-alone", fusion="none"),
    replace(TINY_VIT, name="linear", heads="linear"),
    static_config(TINY_VIT),
    static_config(SSVP_NANO),
]
PARITY = 1e-4  # fp32 on both sides; summation order differs
NAMES = ("score", "score_global", "score_local", "anomaly_map")

Exported = tuple[SSVP, OnnxHeads]


@pytest.fixture(scope="module", params=KINDS, ids=lambda c: c.name)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A model with no parameter at its start value, and its heads after export."""
    config: SSVPConfig = request.param
    model = _disturbed(config)
    path: Path = tmp_path_factory.mktemp(config.name) / "heads.onnx"
    export_heads(model, path)
    return model, _loaded(path, config)


def _disturbed(config: SSVPConfig) -> SSVP:
    """Return a model with no parameter at its start value."""
    torch.manual_seed(0)
    model = SSVP(config).eval()
    disturb(model.heads)
    return model


def _loaded(path: Path, config: SSVPConfig) -> OnnxHeads:
    cpu = torch.device("cpu")
    return OnnxHeads(path, head_input_names(config), config.map_size_px, cpu, None, threads=2)


@pytest.mark.parametrize("config", [TINY_VIT, SSVP_NANO], ids=lambda c: c.name)
def test_half_precision_heads_agree_with_torch_in_fp32(config: SSVPConfig, tmp_path: Path) -> None:
    """Scores within 2e-3 and maps within 1e-2, with tokens as a GPU's towers give them."""
    model = _disturbed(config)
    export_heads(model, tmp_path / "heads.onnx", half=True)
    heads = _loaded(tmp_path / "heads.onnx", config)
    *tokens, text = example_head_inputs(model, 3)
    found = heads((*(t.half() for t in tokens), text))
    with torch.no_grad():
        expected = ExportableHeads(model.heads, config)(*tokens, text)
    for name, value in zip(NAMES, expected, strict=True):
        difference = (getattr(found, name) - value).abs().max()
        assert 0.0 < difference < (1e-2 if name == "anomaly_map" else 2e-3)


def _torch_heads(model: SSVP) -> Callable[..., tuple[torch.Tensor, ...]]:
    return ExportableHeads(model.heads, model.config)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_onnx_heads_agree_with_torch(exported: Exported, batch: int) -> None:
    """Scores and maps agree to 1e-4 for any batch size."""
    model, heads = exported
    inputs = example_head_inputs(model, batch)
    found = heads(inputs)
    with torch.no_grad():
        expected = _torch_heads(model)(*inputs)
    for name, value in zip(NAMES, expected, strict=True):
        torch.testing.assert_close(getattr(found, name), value, atol=PARITY, rtol=0)


def test_batch_of_one_equals_batch_of_eight_image_by_image(exported: Exported) -> None:
    """An image's result does not depend on the batch it travelled in."""
    model, heads = exported
    inputs = example_head_inputs(model, 8)
    together = heads(inputs)
    for i in range(8):
        alone: HeadScores = heads(tuple(t[i : i + 1].contiguous() for t in inputs))
        for name in NAMES:
            difference = (getattr(alone, name)[0] - getattr(together, name)[i]).abs().max()
            assert float(difference) < PARITY


def test_the_text_bank_is_an_input(exported: Exported) -> None:
    """Another product's prompts change the score without another export."""
    model, heads = exported
    inputs = example_head_inputs(model, 2)
    with torch.no_grad():
        bank = model.text_bank(["metal nut", "leather"])
    renamed = heads((*inputs[:-1], bank))
    changes = float((renamed.score - heads(inputs).score).abs().max()) > 0.0
    assert changes == (model.config.heads != "linear")  # which reads no text
