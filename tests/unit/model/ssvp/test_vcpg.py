"""VCPG: eqs. 6-12 and decisions D1, D5, D6."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.ssvp.vcpg import VCPG
from tests.towers import disturb

FLOAT_NOISE = 1e-6


def _vcpg(latent_tokens: int, alpha: float = 0.7) -> VCPG:
    torch.manual_seed(0)
    vcpg = VCPG(width=8, latent_width=5, latent_tokens=latent_tokens, heads=2).eval()
    with torch.no_grad():
        vcpg.alpha.fill_(alpha)
    return vcpg


def _prompts() -> Tensor:
    return torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(1))


def _loop_shift(vcpg: VCPG, text: Tensor, latent: Tensor, heads: int) -> Tensor:
    """Eq. 10 for one image, one head at a time."""
    tokens = vcpg.to_tokens(latent).reshape(vcpg.latent_tokens, -1)
    query, key, value = vcpg.query(text), vcpg.key(tokens), vcpg.value(tokens)
    shifts = []
    for q, k, v in zip(*(t.chunk(heads, dim=-1) for t in (query, key, value)), strict=True):
        shifts.append(torch.softmax(q @ k.T / math.sqrt(q.shape[-1]), dim=-1) @ v)
    return torch.cat(shifts, dim=-1)


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_vcpg_equals_eqs_6_to_11_image_by_image(
    monkeypatch: pytest.MonkeyPatch, *, training: bool
) -> None:
    """What is read of the unit V_global, the latent with its noise in training, the shift, the sum's norm."""
    vcpg, image, text = _vcpg(latent_tokens=4).train(training), 5.0 * torch.randn(3, 8), _prompts()
    disturb(vcpg)
    noise = torch.randn(3, 5)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    found = vcpg(image, text)
    for b in range(3):
        unit = image[b] / image[b].norm()
        mean, log_variance = vcpg.to_mean(unit), vcpg.to_log_variance(unit)
        latent = mean + (log_variance / 2).exp() * noise[b] if training else mean
        moved = text[b] + vcpg.alpha * _loop_shift(vcpg, text[b], latent, heads=2)
        expected = {
            "text": F.layer_norm(moved, (8,), vcpg.norm.weight, vcpg.norm.bias),
            "mean": mean,
            "log_variance": log_variance,
            "target": unit,
            "reconstruction": vcpg.decode(latent),
        }
        for name, value in expected.items():
            torch.testing.assert_close(getattr(found, name)[b], value, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_log_variance_stays_between_minus_ten_and_ten() -> None:
    """Beyond, its exponential would be no number (D6)."""
    vcpg = _vcpg(latent_tokens=4)
    last = vcpg.to_log_variance[2]
    assert isinstance(last, nn.Linear)
    last.bias[:2] = torch.tensor([-50.0, 50.0])
    found = vcpg(torch.randn(3, 8), _prompts()).log_variance
    assert found[:, :2].tolist() == [[-10.0, 10.0]] * 3


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
