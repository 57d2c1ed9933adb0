"""Which errors mean a full device, a lost one, or a bad image."""

import pytest
import torch

from app.errors import DeviceLostError
from app.runtime.failures import meaning
from app.runtime.protocol import OutOfDeviceMemoryError


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory"),
        RuntimeError(
            "[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer"
        ),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ],
)
def test_too_little_memory(error: Exception) -> None:
    """Whoever reports it, and also where the text speaks of CUDA."""
    assert isinstance(meaning(error), OutOfDeviceMemoryError)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("device-side assert triggered"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: illegal address ; GPU=0"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_a_lost_device(error: Exception) -> None:
    """Every later call would fail too."""
    found = meaning(error)
    assert isinstance(found, DeviceLostError)
    assert "illegal" not in str(found)  # callers see this text


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes differ"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_INVALID_VALUE when calling `cublasSgemm(handle)`"),
        RuntimeError("CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED ; GPU=0"),
        RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"),
    ],
)
def test_anything_else_is_about_the_image(error: Exception) -> None:
    """It comes back as it is; a device whose library refuses one call computes the next."""
    assert meaning(error) is error
