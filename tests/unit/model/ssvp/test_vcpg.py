"""VCPG: eqs. 6-12 and decisions D1, D5, D6."""

import torch
from torch import Tensor

from model.ssvp.vcpg import VCPG

FLOAT_NOISE = 1e-6


def _vcpg(latent_tokens: int, alpha: float = 0.7) -> VCPG:
    torch.manual_seed(0)
    vcpg = VCPG(width=8, latent_width=5, latent_tokens=latent_tokens, heads=2).eval()
    with torch.no_grad():
        vcpg.alpha.fill_(alpha)
    return vcpg


def _prompts() -> Tensor:
    return torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_one_latent_token_shifts_every_prompt_alike() -> None:
    """With M = 1 the attention has one key, so delta is the same vector for all six prompts (D1)."""
    shift = _vcpg(latent_tokens=1).text_shift(_prompts(), torch.randn(3, 5))
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=FLOAT_NOISE, rtol=0)


@torch.no_grad()
def test_several_latent_tokens_shift_prompts_differently() -> None:
    """With M = 4 the shift depends on the prompt that asks."""
    shift = _vcpg(latent_tokens=4).text_shift(_prompts(), torch.randn(3, 5))
    assert (shift - shift[:, :1]).abs().amax() > 1e-3


@torch.no_grad()
def test_zero_alpha_leaves_the_normalised_initial_text() -> None:
    """alpha = 0, its start, gives LN(T_init) whatever the image shows (eq. 11)."""
    vcpg = _vcpg(latent_tokens=4, alpha=0.0)
    text = _prompts()
    mean = text.mean(dim=-1, keepdim=True)
    variance = (text - mean).square().mean(dim=-1, keepdim=True)
    expected = (text - mean) / (variance + 1e-5).sqrt()
    for seed in range(2):
        image = torch.randn(3, 8, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(vcpg(image, text).text, expected, atol=1e-5, rtol=1e-5)


def test_alpha_starts_at_zero() -> None:
    """A fresh VCPG does not disturb the prompts."""
    assert float(VCPG(8, 5, 4, 2).alpha.detach()) == 0.0


@torch.no_grad()
def test_inference_is_bit_identical_on_repeat() -> None:
    """Outside training z is its mean: no dice, the same bits each time (D5)."""
    vcpg, image = _vcpg(latent_tokens=4), torch.randn(3, 8)
    assert torch.equal(vcpg(image, _prompts()).text, vcpg(image, _prompts()).text)


@torch.no_grad()
def test_training_draws_the_latent() -> None:
    """In training z is sampled, so two passes differ (eq. 8)."""
    vcpg, image = _vcpg(latent_tokens=4).train(), torch.randn(3, 8)
    assert not torch.equal(vcpg(image, _prompts()).text, vcpg(image, _prompts()).text)


def test_reconstruction_target_has_unit_length_and_no_gradient() -> None:
    """The decoder aims at the normalised V_global, which it must not drag towards itself (D6)."""
    image = torch.randn(3, 8, requires_grad=True)
    refinement = _vcpg(latent_tokens=4)(image, _prompts())
    torch.testing.assert_close(refinement.target.norm(dim=-1), torch.ones(3))
    assert not refinement.target.requires_grad
