r"""A threshold from the scores of good parts alone, with a promise that holds for any number of them.

Knows order statistics; knows nothing of what is scored.

The statement. Let S_1..S_n be the scores of good parts and S_{n+1} that of the next one, exchangeable. With
k = ceil((n + 1)(1 - a)) <= n and any t above the k-th smallest of S_1..S_n, a rule that rejects from t on has

    P(S_{n+1} >= t) <= P(S_{n+1} > S_(k)) <= 1 - k / (n + 1) <= a,

over the draw of the n parts and of the next one together, for every distribution and every n; ties only make
it rarer. Without ties the rate of one calibration, over all later good parts, is random: Beta(n + 1 - k, k).
V. Vovk, A. Gammerman, G. Shafer: Algorithmic Learning in a Random World, Springer 2005; V. Vovk: Conditional
validity of inductive conformal predictors, ACML 2012; A. Angelopoulos, S. Bates: A Gentle Introduction to
Conformal Prediction and Distribution-Free Uncertainty Quantification, arXiv:2107.07511, theorem D.1 and
section 3.2.

The decision rule is NG for a score that reaches the threshold, so t must lie above S_(k), not on it. It is the
next multiple of 10^-4 above: answers show four decimals, and a threshold from shown scores keeps the promise
for the exact ones, because rounding keeps their order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from scipy import special  # scipy.stats takes half a second of every start

from app.products.errors import CalibrationSaturatedError, CalibrationTooFewError

STEP = Fraction(1, 10_000)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Threshold:
    """A threshold and what is known of its rate.

    Attributes:
        value: NG from this score on; a multiple of 10^-4, above 0 and at most 1.
        interval: 95 % for the share of later good parts that are rejected.
    """

    value: float
    interval: tuple[float, float]


def needed(false_reject: float) -> int:
    """Return how many good parts a rate in (0, 1) needs: ceil(1 / rate) - 1."""
    return math.ceil(1 / _exact(false_reject)) - 1


def threshold(scores: Sequence[float], false_reject: float) -> Threshold:
    """Choose the threshold that rejects a good part with at most the asked chance.

    Args:
        scores: of good parts, in [0, 1], in any order.
        false_reject: asked rate, in (0, 1).

    Raises:
        CalibrationTooFewError: there are fewer than `needed`.
        CalibrationSaturatedError: the deciding score is 1, so that no threshold keeps the promise.
    """
    count = len(scores)
    if count < (least := needed(false_reject)):
        raise CalibrationTooFewError(
            f"{count} good parts were given, a false-reject rate of {false_reject:g} needs {least} or more",
            least,
        )
    rank = math.ceil((count + 1) * (1 - _exact(false_reject)))
    steps = math.floor(_exact(float(sorted(scores)[rank - 1])) / STEP) + 1
    value = float(steps * STEP)
    if value > 1.0:
        highest = sum(score >= 1 for score in scores)
        raise CalibrationSaturatedError(
            f"{highest} of {count} good parts score 1, the worst there is: this model cannot tell good parts "
            "of this product from bad ones; try another product name, a roi, or another bundle"
        )
    return Threshold(value, _interval(count - rank, count))


def _exact(number: float) -> Fraction:
    """Take 0.005 for 1/200 and 0.3 for 3000 steps, not for the binary numbers beside them."""
    return Fraction(repr(number))


def _interval(rejected: int, count: int) -> tuple[float, float]:
    """Return Clopper and Pearson's interval for `rejected` of `count`, the parts above the deciding one.

    Its upper end is at the same time the exact quantile of Beta(n + 1 - k, k), though the threshold was chosen
    on these very parts; its lower end is a little below the exact one.
    """
    tail = (1 - CONFIDENCE) / 2
    low = special.betaincinv(rejected, count - rejected + 1, tail) if rejected else 0.0
    high = special.betaincinv(rejected + 1, count - rejected, 1 - tail)
    return float(low), float(high)
