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
        ({"avx2": True, "amx_bf16": True}, torch.bfloat16),
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


def test_a_gpu_multiplies_in_bf16_whatever_the_processor_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own capabilities count, and each that is served has them."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    asked: list[object] = []
    monkeypatch.setattr(torch, "autocast", lambda *kind, **options: asked.append((kind, options)))
    precision.autocast(torch.device("cuda:1"))
    assert asked == [(("cuda",), {"dtype": torch.bfloat16, "enabled": True})]
