"""Bad parts among the good ones are found, and good ones rarely suspected."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.products.suspicion import in_two_groups, stands_out

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
UNIMODAL: dict[str, Draw] = {
    "normal": lambda rng, n: 0.3 + 0.05 * rng.standard_normal(n),
    "uniform": lambda rng, n: rng.random(n),
    "lopsided": lambda rng, n: rng.beta(2, 8, n),
    "exponential": lambda rng, n: rng.exponential(0.05, n),
    "heavy tail": lambda rng, n: 0.1 * np.exp(0.5 * rng.standard_normal(n)),
}


@pytest.mark.parametrize("name", UNIMODAL)
@pytest.mark.parametrize("count", [20, 60, 200])
def test_good_parts_alone_rarely_warn(name: str, count: int) -> None:
    """Of 150 samples as answers show them at most 4 % are suspected of either, whatever the distribution."""
    rng = np.random.default_rng(3)
    samples = [np.clip(UNIMODAL[name](rng, count), 0, 1).round(4).tolist() for _ in range(150)]
    assert sum(bool(stands_out(sample)) for sample in samples) <= 6
    assert sum(in_two_groups(sample) for sample in samples) <= 6


@pytest.mark.parametrize("bad", [1, 2, 4])
def test_bad_parts_stand_out_highest_first(bad: int) -> None:
    """Their places in the list are named, wherever they stand."""
    rng = np.random.default_rng(4)
    scores = (0.2 + 0.03 * rng.standard_normal(60)).tolist()
    for i in range(bad):
        scores[7 * (i + 1)] = 0.9 - 0.01 * i
    assert stands_out(scores) == [7 * (i + 1) for i in range(bad)]


def test_a_low_score_is_not_suspected() -> None:
    """Only a bad part scores high."""
    rng = np.random.default_rng(5)
    assert stands_out([0.0, *(0.5 + 0.03 * rng.standard_normal(60))]) == []


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_two_kinds_of_part_are_two_groups(share: float) -> None:
    """As with two lights, or two materials under one name."""
    rng = np.random.default_rng(6)
    second = rng.random(100) < share
    assert in_two_groups(
        np.clip(0.2 + 0.03 * rng.standard_normal(100) + 0.3 * second, 0, 1).tolist()
    )


@pytest.mark.parametrize("scores", [[], [0.5], [0.2] * 100, [0.2, 0.2001] * 50, [0.0] * 99 + [0.1]])
def test_degenerate_scores_are_no_groups(scores: list[float]) -> None:
    """Rounding and repetition make none, and nothing divides by nothing."""
    assert not in_two_groups(scores)
    assert stands_out(scores) in ([], [99])
