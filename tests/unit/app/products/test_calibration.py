"""What a person is told of the good parts a threshold was learnt from, and what the profile keeps of them."""

import numpy as np

from app.products.calibration import Calibration, NamedScore, calibrate
from app.products.profile import BundleIdentity
from app.products.suspicion import in_two_groups

BUNDLE = BundleIdentity(name="b", version="1", digest="a" * 64)


def _calibrated(scores: list[float], product: str = "nut", roi: str | None = None) -> Calibration:
    named = [NamedScore(f"{number}.png", score) for number, score in enumerate(scores)]
    return calibrate(product, named, 0.05, BUNDLE, roi)


def _usual(count: int, centre: float = 0.3, spread: float = 0.03) -> list[float]:
    drawn = centre + spread * np.random.default_rng(8).standard_normal(count)
    return [float(score) for score in drawn.round(4)]


def test_usual_parts_make_a_profile_without_a_warning() -> None:
    """Blanks of the name are collapsed; the time is UTC and says so."""
    found = _calibrated(_usual(60), "  Metal \t Nut ", "1,2,3,4")
    profile = found.profile
    assert (profile.product, profile.version, profile.n) == ("Metal Nut", 1, 60)
    assert (profile.bundle, profile.roi, profile.false_reject) == (BUNDLE, "1,2,3,4", 0.05)
    assert profile.created_at.endswith("+00:00")
    assert len(profile.shares) == len(profile.quantiles) + 1 == 6
    assert (found.stands_out, profile.warnings) == ([], ())


def test_parts_far_above_the_others_are_named_and_make_no_second_group() -> None:
    """Wherever they stand in the list, the worst first; the others are looked at without them."""
    scores = _usual(30)
    for place, score in ((4, 0.6), (11, 0.7), (20, 0.65)):
        scores[place] = score
    assert in_two_groups(scores)
    found = _calibrated(scores)
    assert found.stands_out == ["11.png", "20.png", "4.png"]
    (warning,) = found.profile.warnings
    assert "11.png, 20.png, 4.png; is that a bad part?" in warning


def test_two_kinds_of_good_parts_are_told() -> None:
    """Two lights are no reason to refuse a threshold, but to look."""
    (warning,) = _calibrated(_usual(30, 0.2) + _usual(30, 0.5)).profile.warnings
    assert "two groups" in warning


def test_a_threshold_that_few_bad_parts_can_reach_is_told() -> None:
    """Above 0.9 there is little of the scale left."""
    (warning,) = _calibrated(_usual(60, 0.92, 0.01)).profile.warnings
    assert "few bad ones can score higher" in warning
