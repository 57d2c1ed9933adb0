"""The threshold keeps its promise, to the part, and says what it cannot promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.engine.verdict import Result, decide
from app.products.conformal import needed, threshold
from app.products.errors import CalibrationSaturatedError, CalibrationTooFewError

SCORES = st.lists(st.floats(0, 0.9), min_size=19, max_size=60)


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.005, 199), (0.02, 49), (0.05, 19), (0.1, 9), (0.5, 1), (0.3, 3)]
)
def test_as_many_parts_are_needed_as_the_formula_says(rate: float, expected: int) -> None:
    """ceil(1 / rate) - 1, without one more for the rounding of 0.005."""
    assert needed(rate) == expected
    assert threshold([0.1] * expected, rate).interval[0] == 0.0
    with pytest.raises(CalibrationTooFewError, match=f"{expected} or more") as caught:
        threshold([0.1] * (expected - 1), rate)
    assert caught.value.needed == expected


def test_the_rank_by_hand() -> None:
    """Of 39 parts and 5 % the 38th decides, and the next step of the scale above it is the threshold."""
    scores = [i / 100 for i in range(39)]
    found = threshold(scores[::-1], 0.05)
    assert found.value == 0.3701
    low, high = found.interval
    assert low == pytest.approx(stats.beta.ppf(0.025, 1, 39))
    assert high == pytest.approx(stats.beta.ppf(0.975, 2, 38))  # also that of Beta(n + 1 - k, k)


@given(SCORES, st.sampled_from([0.05, 0.1, 0.25]))
def test_no_more_good_parts_are_rejected_than_the_rank_allows(
    scores: list[float], rate: float
) -> None:
    """By the service's own rule, whose NG begins on the threshold; and the step above costs at most a step."""
    found = threshold(scores, rate).value
    rejected = sum(decide(score, found) is Result.NG for score in scores)
    assert rejected <= math.floor(rate * (len(scores) + 1))
    assert 0 < found <= 1
    assert any(found - 1.0001e-4 <= score < found for score in scores)


@given(SCORES)
def test_scores_as_answers_show_them_do_as_well(scores: list[float]) -> None:
    """A threshold from four decimals rejects none of the exact scores it must accept."""
    shown = threshold([round(score, 4) for score in scores], 0.05).value
    rank = math.ceil((len(scores) + 1) * 0.95)
    assert decide(sorted(scores)[rank - 1], shown) is Result.OK


@pytest.mark.parametrize(("count", "rate"), [(60, 0.02), (60, 0.05), (199, 0.005), (250, 0.01)])
def test_over_many_calibrations_the_rate_keeps_its_promise(count: int, rate: float) -> None:
    """The mean over 2,000 calibrations is (n + 1 - k) / (n + 1): at most what was asked, no less than due.

    The rate of each is exact, from the distribution the parts are drawn of. Tolerance: four standard errors,
    and a twentieth for the step of the scale.
    """
    rng = np.random.default_rng(7)
    truth = stats.beta(2, 12)
    drawn = truth.rvs(size=(2_000, count), random_state=rng)
    rates = truth.sf([threshold(scores, rate).value for scores in drawn.tolist()])
    error = float(rates.std()) / math.sqrt(len(rates))
    rejecting = math.floor(rate * (count + 1))
    due = rejecting / (count + 1)
    assert rates.mean() <= rate + 4 * error
    assert due - 4 * error - 0.05 * due < rates.mean() < due + 4 * error
    within = np.mean(rates <= stats.beta.ppf(0.975, rejecting, count + 1 - rejecting))
    assert within == pytest.approx(0.975, abs=0.015)


def test_ties_reject_none_of_the_equal() -> None:
    """Parts that score alike are all accepted."""
    found = threshold([0.2] * 30 + [0.3] * 30, 0.05).value
    assert found == 0.3001


def test_a_model_that_cannot_separate_is_refused() -> None:
    """A threshold above 1 would accept everything, 1 would reject the good ones."""
    with pytest.raises(CalibrationSaturatedError, match="2 of 19"):
        threshold([0.4] * 17 + [1.0] * 2, 0.05)
    assert threshold([0.4] * 17 + [0.99995] * 2, 0.05).value == 1.0
