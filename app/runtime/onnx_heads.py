"""The heads in onnxruntime, on the device and stream of the torch towers.

Knows a session, tensors and their addresses; knows neither towers nor products.
"""

from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort
import torch
from torch import Tensor

from app.errors import StartError
from model.ssvp.exportable import HEAD_OUTPUT_NAMES

ERRORS = 3  # onnxruntime's severity


@dataclass(frozen=True, eq=False)
class HeadScores:
    """The graph's outputs: scores `[B]` and maps `[B, H, W]`, fp32, on the towers' device."""

    score: Tensor
    score_global: Tensor
    score_local: Tensor
    anomaly_map: Tensor


class OnnxHeads:
    """Run the heads' graph on torch tensors without a copy: both sides read the same memory.

    Args:
        path: the ONNX file.
        input_names: of `model.ssvp.exportable.head_input_names`.
        map_size_px: side of the anomaly map.
        device: of the towers; CUDA selects onnxruntime's CUDA provider.
        stream: the torch stream the towers run on, so that neither side waits for the other. Must not be
            torch's default stream, whose address 0 onnxruntime reads as "none given".
        threads: intra-op threads on the CPU.

    Raises:
        StartError: onnxruntime cannot use the device.
    """

    def __init__(
        self,
        path: Path,
        input_names: list[str],
        map_size_px: int,
        device: torch.device,
        stream: "torch.cuda.Stream | None",
        threads: int,
    ) -> None:
        self._device = device
        self._names = input_names
        self._map_size_px = map_size_px
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # The towers' threads need the cores between two calls; waiting threads must not spin on them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = ERRORS
        ort.set_default_logger_severity(ERRORS)  # it warns that CUDA is no plugin, as it never was
        provider = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
        if provider not in ort.get_available_providers():
            raise StartError("this build of onnxruntime has no CUDA: install onnxruntime-gpu")
        self._session = ort.InferenceSession(
            str(path), options, providers=_providers(device, stream)
        )
        if provider not in self._session.get_providers():
            raise StartError("onnxruntime cannot use CUDA here; its log says why")

    def __call__(self, inputs: tuple[Tensor, ...]) -> HeadScores:
        """Score one batch.

        Args:
            inputs: of `model.ssvp.exportable.head_inputs`, in the graph's precision, on the device.
        """
        batch, size = inputs[0].shape[0], self._map_size_px
        shapes = ((batch,), (batch,), (batch,), (batch, size, size))
        outputs = [torch.empty(s, dtype=torch.float32, device=self._device) for s in shapes]
        binding = self._session.io_binding()
        kind, index = self._device.type, self._device.index or 0
        for name, tensor in zip(self._names, inputs, strict=True):
            dtype = str(tensor.dtype).removeprefix("torch.")
            binding.bind_input(name, kind, index, dtype, tuple(tensor.shape), tensor.data_ptr())
        for name, tensor in zip(HEAD_OUTPUT_NAMES, outputs, strict=True):
            binding.bind_output(
                name, kind, index, "float32", tuple(tensor.shape), tensor.data_ptr()
            )
        self._session.run_with_iobinding(binding)  # waits for the stream, then frees its buffers
        return HeadScores(*outputs)


def _providers(
    device: torch.device, stream: "torch.cuda.Stream | None"
) -> list[str | tuple[str, dict[str, str]]]:
    if device.type != "cuda":
        return ["CPUExecutionProvider"]
    if stream is None or stream.cuda_stream == 0:
        raise ValueError("the heads need a CUDA stream of their own, not torch's default stream")
    ort.preload_dlls()  # torch's own CUDA libraries, so that no second copy is loaded
    options = {
        "device_id": str(device.index or 0),
        "user_compute_stream": str(stream.cuda_stream),
        # A convolution keeps one plan and makes another for each new batch size: no search each time.
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",  # ten bits of mantissa, the default: too few for Newton-Schulz and cosine / tau
    }
    return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]
