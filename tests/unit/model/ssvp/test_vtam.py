"""VTAM against eqs. 13-19 written in numpy."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.ssvp.vtam import VTAM, AnomalyMoE, state_embeddings

FLOAT_NOISE = 1e-5
Array = NDArray[np.float64]


def _array(tensor: torch.Tensor) -> Array:
    return tensor.detach().numpy().astype(np.float64)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = e / e.sum(axis=-1, keepdims=True)
    return result


def _sigmoid(x: Array) -> Array:
    result: Array = 1.0 / (1.0 + np.exp(-x))
    return result


def _gelu(x: Array) -> Array:
    erf = np.vectorize(lambda v: float(torch.erf(torch.tensor(v, dtype=torch.float64))))
    result: Array = 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))
    return result


def _linear(layer: nn.Module, x: Array) -> Array:
    assert isinstance(layer, nn.Linear)
    result: Array = x @ _array(layer.weight).T + _array(layer.bias)
    return result


def _moe_in_numpy(moe: AnomalyMoE, v_global: Array, v_local: list[Array], maps: Array) -> Array:
    gate = moe.global_gate
    weights = _softmax(_linear(gate[2], _gelu(_linear(gate[0], v_global))))  # eq. 15, [B, E]
    places = [
        _sigmoid(_linear(g, v)) for g, v in zip(moe.local_gates, v_local, strict=True)
    ]  # eq. 16
    if moe.extra_gate is not None:
        places.append(_sigmoid(_linear(moe.extra_gate, np.mean(v_local, axis=0))))
    stacked = np.concatenate(places, axis=-1)  # [B, N, E]
    result = np.zeros(maps.shape[::2])
    for b in range(maps.shape[0]):
        for e in range(maps.shape[1]):
            result[b] += weights[b, e] * stacked[b, :, e] * maps[b, e]  # eq. 17
    return result


@torch.no_grad()
def test_anomaly_moe_equals_eqs_15_to_17_in_numpy() -> None:
    """P_map is the doubly gated sum of the experts' maps, with and without extra experts."""
    for extra in (0, 2):
        torch.manual_seed(extra)
        moe = AnomalyMoE(width=8, levels=3, extra_experts=extra)
        v_global = torch.randn(2, 8)
        v_local = tuple(torch.randn(2, 9, 8) for _ in range(3))
        maps = torch.rand(2, 3 + extra, 9)
        expected = _moe_in_numpy(moe, _array(v_global), [_array(v) for v in v_local], _array(maps))
        np.testing.assert_allclose(moe(v_global, v_local, maps).numpy(), expected, atol=FLOAT_NOISE)


@torch.no_grad()
def test_local_gates_start_open() -> None:
    """P_map does not start halved: each gate's bias starts at +3 (D4)."""
    moe = AnomalyMoE(width=8, levels=1, extra_experts=2)
    maps = torch.ones(1, 3, 4)
    found = moe(torch.zeros(1, 8), (torch.zeros(1, 4, 8),), maps)
    np.testing.assert_allclose(found.numpy(), _sigmoid(np.array(3.0)), atol=FLOAT_NOISE)


def _vtam(topk: int = 1, gamma: float = 0.5, extra: int = 0, *, gated: bool = True) -> VTAM:
    torch.manual_seed(0)
    return VTAM(8, 2, 3, extra, local_topk=topk, gamma=gamma, temperature=0.07, gated=gated)


@torch.no_grad()
def test_expert_maps_are_softmax_of_cosines() -> None:
    """P^(l) is softmax(cos / tau) over the mean unit prompts of both states, anomalous part (eqs. 13-14)."""
    vtam = _vtam()
    text, v_global = torch.randn(2, 6, 8), torch.randn(2, 8)
    v_local = (torch.randn(2, 9, 8), torch.randn(2, 9, 8))
    found = vtam(v_global, v_local, text, None)
    unit = _array(text) / np.linalg.norm(_array(text), axis=-1, keepdims=True)
    states = np.stack([unit[:, :3].mean(axis=1), unit[:, 3:].mean(axis=1)], axis=1)
    states /= np.linalg.norm(states, axis=-1, keepdims=True)
    for level, tokens in enumerate(v_local):
        t = _array(tokens) / np.linalg.norm(_array(tokens), axis=-1, keepdims=True)
        for b in range(2):
            expected = _softmax(t[b] @ states[b].T / 0.07)[:, 1]
            np.testing.assert_allclose(
                found.expert_maps[b, level].numpy(), expected, atol=FLOAT_NOISE
            )


@torch.no_grad()
def test_without_gates_the_map_is_the_mean_of_all_experts() -> None:
    """Levels first, then the maps from outside; each counts the same (table 3's row without AnomalyMoE)."""
    text, v_local = torch.randn(2, 6, 8), (torch.randn(2, 9, 8), torch.randn(2, 9, 8))
    extra_maps = torch.rand(2, 9, 1)
    found = _vtam(extra=1, gated=False)(torch.randn(2, 8), v_local, text, extra_maps)
    assert torch.equal(found.expert_maps[:, 2], extra_maps[..., 0])
    torch.testing.assert_close(found.grid_map, found.expert_maps.mean(dim=1))


@torch.no_grad()
def test_with_gates_the_map_is_their_mixture() -> None:
    """Of all experts, those from outside too, by the global and the local gates (eq. 17)."""
    v_global, text = torch.randn(2, 8), torch.randn(2, 6, 8)
    v_local = (torch.randn(2, 9, 8), torch.randn(2, 9, 8))
    vtam = _vtam(extra=1)
    found = vtam(v_global, v_local, text, torch.rand(2, 9, 1))
    assert vtam.moe is not None
    expected = _moe_in_numpy(
        vtam.moe, _array(v_global), [_array(v) for v in v_local], _array(found.expert_maps)
    )
    np.testing.assert_allclose(_array(found.grid_map), expected, atol=FLOAT_NOISE)


@torch.no_grad()
def test_global_score_is_the_class_tokens_probability() -> None:
    """S_global is what a patch with the class token's vector would get, whatever the patches say (eq. 13)."""
    text, v_global = torch.randn(2, 6, 8), torch.randn(2, 8)
    v_local = (v_global[:, None].expand(2, 9, 8), torch.randn(2, 9, 8))
    found = _vtam()(v_global, v_local, text, None)
    torch.testing.assert_close(found.score_global, found.expert_maps[:, 0, 0])


@torch.no_grad()
def test_score_is_the_weighted_mean_of_global_and_local() -> None:
    """S_final = (1 - gamma) S_global + gamma S_local, S_local the maximum of P_map (eqs. 18-19)."""
    args = (
        torch.randn(2, 8),
        (torch.randn(2, 9, 8), torch.randn(2, 9, 8)),
        torch.randn(2, 6, 8),
        None,
    )
    found = _vtam(gamma=0.3)(*args)
    torch.testing.assert_close(found.score_local, found.grid_map.amax(dim=-1))
    torch.testing.assert_close(found.score, 0.7 * found.score_global + 0.3 * found.score_local)
    for values in (found.score, found.score_global, found.score_local, found.grid_map):
        assert float(values.min()) >= 0.0
        assert float(values.max()) <= 1.0


@torch.no_grad()
def test_local_topk_averages_the_largest_cells() -> None:
    """local_topk = 3 makes S_local the mean of the three largest cells (D3)."""
    args = (
        torch.randn(2, 8),
        (torch.randn(2, 9, 8), torch.randn(2, 9, 8)),
        torch.randn(2, 6, 8),
        None,
    )
    found = _vtam(topk=3)(*args)
    expected = np.sort(found.grid_map.numpy(), axis=-1)[:, -3:].mean(axis=-1)
    np.testing.assert_allclose(found.score_local.numpy(), expected, atol=FLOAT_NOISE)


def test_prompts_of_one_state_count_alike_whatever_their_length() -> None:
    """Each prompt is normalised before the mean: a long vector does not outvote its siblings (D7)."""
    text = torch.randn(1, 6, 8)
    longer = text.clone()
    longer[:, 4] *= 100.0
    torch.testing.assert_close(state_embeddings(text, 3), state_embeddings(longer, 3))


def test_temperature_is_learned() -> None:
    """tau starts where the config says and receives a gradient (D8)."""
    vtam = _vtam()
    assert abs(float(vtam.log_temperature.exp().detach()) - 0.07) < FLOAT_NOISE
    vtam(
        torch.randn(1, 8), (torch.randn(1, 4, 8),) * 2, torch.randn(1, 6, 8), None
    ).score.sum().backward()
    assert vtam.log_temperature.grad is not None
    assert float(vtam.log_temperature.grad.abs()) > 0.0
