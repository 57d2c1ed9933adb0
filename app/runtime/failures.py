"""What a device's exceptions mean: too little memory, a device that is gone, or neither.

Knows torch's and onnxruntime's errors; knows no model.
"""

import torch

from app.errors import DeviceLostError
from app.runtime.protocol import OutOfDeviceMemoryError

# onnxruntime has one class for everything; its texts are all there is to tell by.
_NO_MEMORY = (
    "out of memory",
    "failed to allocate memory",
    "can't allocate memory",
    "not enough memory",
    "bad allocation",
    "alloc_failed",  # cuBLAS and cuDNN, whose other statuses mean a lost device
    "allocation_failed",  # cuDNN 9
)
# The library refuses this one call; the device goes on.
_REFUSED = ("not_supported", "bad_param", "invalid_value", "arch_mismatch")
_LOST = ("cuda error", "cuda failure", "cudnn_status", "cublas_status")


def meaning(error: Exception) -> Exception:
    """Return what the engine should be told instead of `error`; `error` itself where it is about the image.

    A CUDA error is sticky: every later call on the device fails too. Missing memory is not, nor is a call that
    cuBLAS or cuDNN refuses.
    """
    text = str(error).lower()
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        t in text for t in _NO_MEMORY
    ):
        return OutOfDeviceMemoryError(str(error))
    if any(t in text for t in _REFUSED):
        return error
    if isinstance(error, torch.AcceleratorError) or any(t in text for t in _LOST):
        return DeviceLostError("the device failed")
    return error
