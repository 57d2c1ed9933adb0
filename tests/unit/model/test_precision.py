"""Which precision a device trains in."""

import pytest
import torch

from model import precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({"avx2": True, "avx512_bf16": True}, torch.bfloat16),
        ({"neon": True, "bf16": True}, torch.bfloat16),
    ],
)
def test_a_processor_without_bf16_multiplies_in_fp32(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype
) -> None:
    """Products are cast to bf16 only where the processor multiplies it itself."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    matrix = torch.eye(4)
    with precision.autocast(CPU):
        assert (matrix @ matrix).dtype is dtype
