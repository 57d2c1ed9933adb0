"""Learning rates step by step, against the formula."""

import math

import pytest
import torch

from model.schedule import cosine_factor, set_learning_rates


def test_rates_rise_in_even_steps_and_fall_along_a_cosine() -> None:
    """The first of four is no rest, the fourth is all; then half a wave over the six that are left."""
    found = [cosine_factor(step, 10, 4) for step in range(10)]
    falling = [0.5 + 0.5 * math.cos(math.pi * step / 6) for step in range(6)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, *falling])


@pytest.mark.parametrize("step", [10, 15])
def test_rates_do_not_rise_again_after_the_end(step: int) -> None:
    """A cosine would."""
    assert cosine_factor(step, 10, 4) == pytest.approx(0.0)


def test_a_run_as_short_as_its_warm_up_has_rates_too() -> None:
    """There is nothing to fall over, and nothing is divided by it."""
    assert [cosine_factor(step, 4, 4) for step in (3, 4, 5)] == pytest.approx([1.0, 1.0, 0.0])


def test_each_group_is_scaled_from_its_own_base() -> None:
    """Not from the step before, whose factor would be taken twice."""
    groups = [{"params": [torch.zeros(1)], "lr": 9.0, "base_lr": rate} for rate in (0.1, 0.2)]
    optimizer = torch.optim.SGD(groups)
    for factor in (0.5, 0.25):
        set_learning_rates(optimizer, factor)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.025, 0.05])
