"""The field's metrics on scores and maps, by scikit-learn where it has them.

Knows arrays of scores and labels; knows neither models nor files.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)


def auroc(label: NDArray[np.bool_], score: NDArray[np.float32]) -> float:
    """Return the area under the ROC curve; NaN where only one class is present, since it is then undefined."""
    if label.all() or not label.any():
        return float("nan")
    return float(roc_auc_score(label, score))


def average_precision(label: NDArray[np.bool_], score: NDArray[np.float32]) -> float:
    """Return the step-wise average precision; NaN where only one class is present."""
    if label.all() or not label.any():
        return float("nan")
    return float(average_precision_score(label, score))


def f1_max(label: NDArray[np.bool_], score: NDArray[np.float32]) -> float:
    """Return the highest F1 over all thresholds; NaN where only one class is present."""
    if label.all() or not label.any():
        return float("nan")
    return float(_f1_curve(label, score)[0].max())


def best_balanced_threshold(label: NDArray[np.bool_], score: NDArray[np.float32]) -> float:
    """Return the threshold that maximises the mean of true positive and true negative rate (Youden's J).

    The midpoint to the next lower score is returned, so that the decision does not hang on one image. Where no
    threshold beats chance it is the lowest score: everything is anomalous.
    """
    false_rate, true_rate, thresholds = roc_curve(label, score)
    # The curve's first point, at infinity, calls nothing anomalous.
    best = float(thresholds[1 + int(np.argmax((true_rate - false_rate)[1:]))])
    below = score[score < best]
    return best if below.size == 0 else 0.5 * (best + float(below.max()))


def best_f1_threshold(label: NDArray[np.bool_], score: NDArray[np.float32]) -> float:
    """Return the threshold of the highest F1 over all points of the precision-recall curve."""
    f1, thresholds = _f1_curve(label, score)
    return float(thresholds[int(np.argmax(f1))])


def _f1_curve(
    label: NDArray[np.bool_], score: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    precision, recall, thresholds = precision_recall_curve(label, score)
    f1 = 2.0 * precision * recall / np.maximum(precision + recall, 1e-12)
    return f1[:-1], thresholds  # the last point belongs to no threshold
