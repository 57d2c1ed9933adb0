"""The context expert: how far a cell looks, and what its map is added to."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from model.ssvp.context import ContextExpert
from model.ssvp.rarity import RarityExperts

GRID, WIDTH = 12, 8


def _levels(seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, GRID * GRID, c, generator=generator) for c in (4, 6))


def test_a_cell_is_read_beside_its_neighbours_and_the_whole_image() -> None:
    """One layer sees two cells far in both directions; what lies beyond it knows as the image's mean alone."""
    torch.manual_seed(0)
    expert = ContextExpert((4, 6), fact_width=3, width=WIDTH, layers=1, grid=GRID).eval()
    levels, facts = _levels(1), torch.zeros(2, 2, GRID * GRID, 3)
    changed = tuple(t.clone() for t in levels)
    row, column = 5, 6
    changed[0][:, row * GRID + column] += 3.0

    def moved() -> torch.Tensor:
        difference: torch.Tensor = expert(changed, facts) - expert(levels, facts)
        square = difference[..., 0].unflatten(-1, (GRID, GRID))
        seen: torch.Tensor = (square.abs() > 1e-6).all(dim=0)
        return seen

    assert bool(moved().all())
    for parameter in expert.layers[0].whole.parameters():  # type: ignore[union-attr]
        parameter.data.zero_()
    near = torch.zeros(GRID, GRID, dtype=torch.bool)
    near[row - 2 : row + 3, column - 2 : column + 3] = True
    assert torch.equal(moved(), near)


@torch.no_grad()
def test_a_layer_is_its_neighbours_the_mean_and_a_thought_added_up() -> None:
    """All levels' tokens and distances added, one kernel a channel, both residuals: by hand."""
    torch.manual_seed(0)
    expert = ContextExpert((4, 6), fact_width=3, width=WIDTH, layers=1, grid=GRID)
    levels, facts = _levels(3), torch.randn(2, 2, GRID * GRID, 3)
    first, second = (
        embed(torch.cat([tokens, fact], dim=-1))
        for embed, tokens, fact in zip(expert.embed, levels, facts, strict=True)
    )
    cells = first + second
    layer: Any = expert.layers[0]
    square = cells.transpose(1, 2).reshape(2, WIDTH, GRID, GRID)
    near = F.conv2d(square, layer.near.weight, layer.near.bias, padding=2, groups=WIDTH)
    cells = cells + near.flatten(2).transpose(1, 2) + layer.whole(cells.mean(dim=1))[:, None]
    expected = expert.read(cells + layer.mlp(cells))
    torch.testing.assert_close(expert(levels, facts), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_expert_reads_what_each_levels_reader_reads() -> None:
    """Level by level the same facts, and its log-odds stand on the sum of theirs."""
    torch.manual_seed(0)
    experts = RarityExperts((4, 6), 3, GRID, context_layers=1, context_width=WIDTH)
    assert experts.context is not None
    seen: list[tuple[torch.Tensor, ...]] = []

    def note(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        seen.append(given)

    for module in (*experts.read, experts.context):
        module.register_forward_pre_hook(note)
    logits = experts.logits(_levels(4))
    (first,), (second,), (levels, facts) = seen
    assert torch.equal(facts, torch.stack([first, second]))
    expected = logits[..., :2].sum(dim=-1, keepdim=True) + experts.context(levels, facts)
    torch.testing.assert_close(logits[..., 2:], expected)


def test_the_third_map_corrects_the_sum_of_the_distances() -> None:
    """An expert that adds nothing leaves the two distances' log-odds added up."""
    torch.manual_seed(0)
    experts = RarityExperts((4, 6), 3, GRID, context_layers=2, context_width=WIDTH).eval()
    assert experts.experts == 3
    assert experts.context is not None
    for parameter in experts.context.read.parameters():
        parameter.data.zero_()
    logits = experts.logits(_levels(2))
    assert logits.shape == (2, GRID * GRID, 3)
    torch.testing.assert_close(logits[..., 2], logits[..., 0] + logits[..., 1])
