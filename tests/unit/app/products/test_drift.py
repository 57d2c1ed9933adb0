"""Drift is seen, and noise is not taken for it."""

import numpy as np
import pytest

from app.products.drift import (
    FEWEST,
    WINDOW,
    Bins,
    DriftWatch,
    bins_of,
)


def _watched(good: list[float], live: list[float]) -> tuple[list[bool], DriftWatch]:
    watch = DriftWatch(bins_of(good), len(good))
    return [change for score in live if (change := watch.observe(score)) is not None], watch


def test_bins_hold_the_good_parts_evenly() -> None:
    """Sixty parts make six bins of ten; few make three; equal scores share one."""
    assert bins_of([i / 100 for i in range(60)]).shares == pytest.approx([1 / 6] * 6)
    assert len(bins_of([i / 100 for i in range(19)]).shares) == 3
    assert len(bins_of([i / 1000 for i in range(500)]).shares) == 10
    tied = bins_of([0.1] * 50 + [0.2] * 10)
    assert tied.cuts == pytest.approx([0.15])
    assert tied.shares == (50 / 60, 10 / 60)
    assert bins_of([0.3] * 60) == Bins((), (1.0,))


def test_the_index_by_hand() -> None:
    """Two bins, half of 100 each; 60 of 80 live scores in the upper one; half a count added to each."""
    watch = DriftWatch(Bins((0.5,), (0.5, 0.5)), 100)
    for i in range(80):
        watch.observe(0.9 if i % 4 else 0.1)
    found = watch.drift()
    assert found is not None
    p, q = 60.5 / 81, 0.5
    expected = (p - q) * np.log(p / q) + (q - p) * np.log((1 - p) / q)
    assert found.psi == pytest.approx(expected)
    assert found.limit == pytest.approx(
        (1 / 100 + 1 / 80) * 10.828, rel=1e-3
    )  # chi-square's 99.9 %


@pytest.mark.parametrize("good", [60, 199])
def test_without_drift_the_index_has_its_expected_mean(good: int) -> None:
    """Over 300 lines about (B - 1)(1/n + 1/m), far from the customary 0.25 or not; within a fifth."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        _, watch = _watched(rng.random(good).tolist(), rng.random(WINDOW).tolist())
        drift = watch.drift()
        assert drift is not None
        found.append(drift.psi)
    bins = len(bins_of(list(range(good))).shares)
    expected = (bins - 1) * (1 / good + 1 / WINDOW)
    assert np.mean(found) == pytest.approx(expected, rel=0.2)


def test_a_steady_line_rarely_rings_though_it_is_looked_at_after_every_part() -> None:
    """Of 100 lines of 600 parts each, with a calibration of 60 each, at most four ever cross."""
    rng = np.random.default_rng(2)
    crossed = sum(
        bool(_watched(rng.random(60).tolist(), rng.random(600).tolist())[0]) for _ in range(100)
    )
    assert crossed <= 4


def test_a_shift_crosses_once_and_comes_back_once() -> None:
    """However long it lasts."""
    rng = np.random.default_rng(3)
    good = rng.normal(0.3, 0.05, 100).tolist()
    usual, shifted = rng.normal(0.3, 0.05, 300), rng.normal(0.36, 0.05, 300)
    changes, _ = _watched(good, [*usual, *shifted, *usual])
    assert changes == [True, False]


def test_a_usual_share_of_bad_parts_is_no_drift() -> None:
    """Every tenth part scores far above; all scores count."""
    rng = np.random.default_rng(4)
    good = rng.normal(0.3, 0.05, 100).tolist()
    live = [0.9 if i % 10 == 0 else s for i, s in enumerate(rng.normal(0.3, 0.05, 600))]
    assert _watched(good, live)[0] == []


def test_a_line_that_rejects_everything_has_drifted() -> None:
    """Were NG parts left out, nothing would be left to say so."""
    good = np.linspace(0.2, 0.4, 60).tolist()
    assert _watched(good, [0.95] * 100)[0] == [True]


def test_few_scores_say_nothing() -> None:
    """Nor does a product whose good parts all score the same."""
    _, watch = _watched(np.linspace(0, 1, 60).tolist(), [0.99] * (FEWEST - 1))
    assert watch.drift() is None
    assert _watched([0.3] * 60, [0.9] * 100)[0] == []
