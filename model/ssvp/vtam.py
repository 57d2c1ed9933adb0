"""VTAM, visual-text anomaly mapper: tokens against prompts, gated experts, scores (eqs. 13-19).

Knows V_local, V_global and T_final; knows neither towers nor how the prompts were made.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOCAL_GATE_START = 3.0  # sigmoid(3) = 0.95: P_map must not start halved (D4)


@dataclass(frozen=True, eq=False)
class AnomalyScores:
    """The method's answer for one batch; every value is a probability (D2).

    Attributes:
        expert_maps: P^(l) of each level, then of each rarity expert, `[B, E, N]`.
        grid_map: P_map of eq. 17, `[B, N]`.
        score_global: `[B]`, from the class tokens.
        score_local: `[B]`, from P_map (eq. 18, D3).
        score: `[B]`, eq. 19.
    """

    expert_maps: Tensor
    grid_map: Tensor
    score_global: Tensor
    score_local: Tensor
    score: Tensor


def compose_scores(
    expert_maps: Tensor, grid_map: Tensor, score_global: Tensor, local_topk: int, gamma: float
) -> AnomalyScores:
    """Add S_local, the mean of P_map's highest cells (eq. 18, D3), and S_final of both scores (eq. 19).

    Args:
        expert_maps: see `AnomalyScores`.
        grid_map: likewise.
        score_global: likewise.
        local_topk: cells averaged into S_local.
        gamma: weight of S_local.
    """
    score_local = grid_map.topk(local_topk, dim=-1).values.mean(dim=-1)
    score = (1.0 - gamma) * score_global + gamma * score_local
    return AnomalyScores(expert_maps, grid_map, score_global, score_local, score)


def state_embeddings(text: Tensor, normal_prompts: int) -> Tensor:
    """Average the prompts of each state and return unit vectors `[B, 2, D]`, normal first (D7).

    Args:
        text: T_final `[B, P, D]`, the normal prompts first.
        normal_prompts: how many those are.
    """
    unit = F.normalize(text, dim=-1)
    normal = unit[:, :normal_prompts].mean(dim=1)
    anomalous = unit[:, normal_prompts:].mean(dim=1)
    return F.normalize(torch.stack([normal, anomalous], dim=1), dim=-1)


def anomalous_probability(vectors: Tensor, states: Tensor, temperature: Tensor) -> Tensor:
    """Return softmax(cos / tau)[anomalous] (eqs. 13-14), `[B, N]`, for `[B, N, D]` against `[B, 2, D]`."""
    cosine = F.normalize(vectors, dim=-1) @ states.transpose(1, 2)  # [B, N, 2]
    return torch.softmax(cosine / temperature, dim=-1)[..., 1]


class AnomalyMoE(nn.Module):
    """Mix the experts' maps: P_map = sum_e w_e * M^(e) * P^(e) (eqs. 15-17).

    The global gate w = softmax(MLP(V_global)) weighs experts, the local gate M = sigmoid(conv1x1(V_local))
    weighs places. Rarity experts have no V_local of their own and read the mean over the levels.
    """

    def __init__(self, width: int, levels: int, extra_experts: int) -> None:
        super().__init__()
        self.global_gate = nn.Sequential(
            nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, levels + extra_experts)
        )
        # A 1x1 convolution over a grid is a linear map of each token.
        self.local_gates = nn.ModuleList(nn.Linear(width, 1) for _ in range(levels))
        self.extra_gate = nn.Linear(width, extra_experts) if extra_experts else None
        for gate in [*self.local_gates, self.extra_gate]:
            if isinstance(gate, nn.Linear):
                nn.init.constant_(gate.bias, LOCAL_GATE_START)

    def forward(self, v_global: Tensor, v_local: tuple[Tensor, ...], expert_maps: Tensor) -> Tensor:
        """Return P_map `[B, N]` from V_global `[B, D]`, V_local `[B, N, D]` and maps `[B, E, N]`."""
        weights = torch.softmax(self.global_gate(v_global), dim=-1)[..., None]  # [B, E, 1]
        logits = [g(v) for g, v in zip(self.local_gates, v_local, strict=True)]  # [B, N, 1] each
        if self.extra_gate is not None:
            logits.append(self.extra_gate(torch.stack(v_local).mean(dim=0)))  # [B, N, extra]
        places = torch.sigmoid(torch.cat(logits, dim=-1)).transpose(1, 2)  # [B, E, N]
        return (weights * places * expert_maps).sum(dim=1)


class VTAM(nn.Module):
    """Cosines to the prompts as probabilities, mixed into a map and an image-level score.

    Args:
        width: joint width D.
        levels: L.
        normal_prompts: how many of the prompts describe the normal state.
        extra_experts: maps given from outside, beside the L of this module.
        local_topk: cells averaged into S_local; 1 is eq. 18's maximum (D3).
        gamma: weight of S_local (eq. 19).
        temperature: start of tau (D8).
        gated: mix the maps by AnomalyMoE; otherwise P_map is their mean.
    """

    def __init__(
        self,
        width: int,
        levels: int,
        normal_prompts: int,
        extra_experts: int,
        local_topk: int,
        gamma: float,
        temperature: float,
        *,
        gated: bool = True,
    ) -> None:
        super().__init__()
        self.normal_prompts = normal_prompts
        self.local_topk = local_topk
        self.gamma = gamma
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log())
        self.moe = AnomalyMoE(width, levels, extra_experts) if gated else None

    def probability(self, vectors: Tensor, states: Tensor) -> Tensor:
        """Return `anomalous_probability` at the learned temperature."""
        return anomalous_probability(vectors, states, self.log_temperature.exp())

    def forward(
        self, v_global: Tensor, v_local: tuple[Tensor, ...], text: Tensor, extra_maps: Tensor | None
    ) -> AnomalyScores:
        """Score a batch.

        Args:
            v_global: `[B, D]`.
            v_local: `[B, N, D]` per level.
            text: T_final `[B, P, D]`.
            extra_maps: probabilities `[B, N, extra_experts]`, or None for no extra experts.
        """
        states = state_embeddings(text, self.normal_prompts)
        maps = [self.probability(v, states) for v in v_local]  # [B, N] each
        expert_maps = torch.stack(maps, dim=1)  # [B, L, N]
        if extra_maps is not None:
            expert_maps = torch.cat([expert_maps, extra_maps.transpose(1, 2)], dim=1)  # [B, E, N]
        grid_map = expert_maps.mean(dim=1)
        if self.moe is not None:
            grid_map = self.moe(v_global, v_local, expert_maps)
        score_global = self.probability(v_global[:, None], states)[:, 0]
        return compose_scores(expert_maps, grid_map, score_global, self.local_topk, self.gamma)
