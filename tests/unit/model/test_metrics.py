"""Metrics against hand-computed values."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from model.metrics import (
    auroc,
    average_precision,
    best_balanced_threshold,
    best_f1_threshold,
    f1_max,
)


def test_auroc_is_the_share_of_rightly_ordered_pairs() -> None:
    """Area under the ROC curve equals the share of (anomalous, normal) pairs in order, ties counting half."""
    label = np.array([False, False, True, True, True])
    score = np.array([0.1, 0.5, 0.5, 0.8, 0.05], dtype=np.float32)
    pairs = [(a, n) for a in score[label] for n in score[~label]]
    expected = np.mean([1.0 if a > n else 0.5 if a == n else 0.0 for a, n in pairs])
    assert auroc(label, score) == pytest.approx(expected)


@pytest.mark.parametrize("anomalous", [True, False])
@pytest.mark.parametrize("figure", [auroc, average_precision, f1_max])
def test_a_figure_of_one_class_is_undefined(
    figure: Callable[..., float], *, anomalous: bool
) -> None:
    """Without normal or without anomalous images nothing can be told apart: no 0 and no 1 is made up."""
    assert math.isnan(figure(np.array([anomalous] * 2), np.array([0.1, 0.2], dtype=np.float32)))


def test_average_precision_goes_in_steps() -> None:
    """By hand: precision 1, 2/3 and 3/5 where a defect is found, each for a third of the recall."""
    label = np.array([True, False, True, False, True])
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5], dtype=np.float32)
    assert average_precision(label, score) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_f1_max_is_that_of_the_best_threshold_however_low_it_is() -> None:
    """By hand: two of five defects above all but two of twenty good parts, 2 * 2 / (4 + 5)."""
    score = np.array([0.9] * 4 + [0.5] * 18 + [0.1] * 3, dtype=np.float32)
    label = np.array([True] * 2 + [False] * 20 + [True] * 3)
    assert f1_max(label, score) == pytest.approx(4 / 9)


def test_f1_max_where_a_good_part_is_scored_highest() -> None:
    """Its point has neither precision nor recall; to call both anomalous is best, 2 * 1 / (2 + 1)."""
    score = np.array([0.1, 0.9], dtype=np.float32)
    assert f1_max(np.array([True, False]), score) == pytest.approx(2 / 3)


def test_balanced_threshold_separates_what_can_be_separated() -> None:
    """Between two separable groups the threshold lies in the middle of the gap."""
    label = np.array([False, False, True, True])
    score = np.array([0.1, 0.3, 0.5, 0.9], dtype=np.float32)
    assert best_balanced_threshold(label, score) == pytest.approx(0.4)


def test_balanced_threshold_weighs_false_alarms_against_misses() -> None:
    """One defect missed costs less than two of three good parts refused."""
    label = np.array([True, False, False, False, True, True])
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.8], dtype=np.float32)
    assert best_balanced_threshold(label, score) == pytest.approx(0.5)


def test_balanced_threshold_weighs_misses_against_false_alarms() -> None:
    """One of three good parts refused costs less than one of two defects missed."""
    label = np.array([False, False, True, False, True])
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.6], dtype=np.float32)
    assert best_balanced_threshold(label, score) == pytest.approx(0.25)


def test_of_equal_thresholds_the_same_is_taken_each_time() -> None:
    """The highest of balanced ones, which refuses the fewest parts; of the F1's the lowest."""
    score = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    balanced = best_balanced_threshold(np.array([False, True, False, True]), score)
    f1 = best_f1_threshold(np.array([True, False, False, True]), score)
    assert (balanced, f1) == pytest.approx((0.35, 0.1))


def test_balanced_threshold_is_a_score_even_where_none_is_better_than_chance() -> None:
    """Reversed or equal scores: everything is called anomalous, and nothing is infinite."""
    label = np.array([False, True])
    for scores in ([0.7, 0.2], [0.5, 0.5]):
        score = np.array(scores, dtype=np.float32)
        assert best_balanced_threshold(label, score) == pytest.approx(min(scores))


def test_f1_threshold_is_the_score_of_the_best_point() -> None:
    """The threshold of the highest F1, found by trying all."""
    rng = np.random.default_rng(0)
    label = rng.random(200) < 0.2
    score = (rng.random(200) * 0.6 + label * 0.3).astype(np.float32)

    def f1(threshold: float) -> float:
        flagged = score >= threshold
        hits = float((flagged & label).sum())
        return 2 * hits / float(flagged.sum() + label.sum())

    best = max(f1(float(t)) for t in score)
    assert f1(best_f1_threshold(label, score)) == pytest.approx(best)
