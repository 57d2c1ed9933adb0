"""What onnxruntime is told of the device; its numbers are compared where there is one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime as ort
import pytest
import torch

from app.errors import StartError
from app.runtime.onnx_heads import OnnxHeads, _providers


def test_a_gpu_computes_the_heads_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the towers' device and stream, and not in TF32, which is onnxruntime's default there."""
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    stream: Any = SimpleNamespace(cuda_stream=4711)
    options = {
        "device_id": "1",
        "user_compute_stream": "4711",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
    }
    expected = [("CUDAExecutionProvider", options), "CPUExecutionProvider"]
    assert _providers(torch.device("cuda:1"), stream) == expected


def test_an_onnxruntime_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would compute on the host and say nothing."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(StartError, match="install onnxruntime-gpu"):
        OnnxHeads(Path("heads.onnx"), [], 1, torch.device("cuda:0"), None, 1)
