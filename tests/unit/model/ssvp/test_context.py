"""The context expert: how far a cell looks, and what its map is added to."""

import torch

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
