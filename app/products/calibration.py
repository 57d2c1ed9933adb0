"""From the scores of good parts to a product's profile, with everything a person should be told about it.

Knows what is learnt from scores; knows neither where they come from nor where profiles are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.products import conformal
from app.products.drift import bins_of
from app.products.profile import BundleIdentity, ProductProfile
from app.products.suspicion import in_two_groups, stands_out

_HIGH = 0.9  # little of the scale is left for bad parts


@dataclass(frozen=True)
class NamedScore:
    """A good part's picture and its score in [0, 1]."""

    name: str
    score: float


@dataclass(frozen=True)
class Calibration:
    """What was learnt from one product's good parts.

    Attributes:
        profile: as version 1; the store gives it its own number.
        stands_out: names of pictures that look like bad parts, highest score first.
    """

    profile: ProductProfile
    stands_out: list[str]


def calibrate(
    product: str,
    scores: Sequence[NamedScore],
    false_reject: float,
    bundle: BundleIdentity,
    roi: str | None,
) -> Calibration:
    """Learn a product's threshold from its good parts.

    Raises:
        CalibrationTooFewError, CalibrationSaturatedError: see `conformal.threshold`.
    """
    values = [score.score for score in scores]
    chosen = conformal.threshold(values, false_reject)
    outside = stands_out(values)
    names = [scores[i].name for i in outside]
    rest = [value for i, value in enumerate(values) if i not in set(outside)]
    bins = bins_of(values)
    profile = ProductProfile(
        product=" ".join(product.split()),
        version=1,
        threshold=chosen.value,
        false_reject=false_reject,
        n=len(values),
        interval=chosen.interval,
        bundle=bundle,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        roi=roi,
        quantiles=bins.cuts,
        shares=bins.shares,
        warnings=tuple(_warnings(names, in_two_groups(rest), chosen.value)),
    )
    return Calibration(profile, names)


def _warnings(names: list[str], two_groups: bool, threshold: float) -> list[str]:
    found = []
    if names:
        found.append(
            f"far above the other good parts: {', '.join(names)}; is that a bad part? "
            "Take it out and calibrate again"
        )
    if two_groups:
        found.append(
            "the good parts fall into two groups: two kinds of part, two lights, or bad parts among them; "
            "look at the higher group"
        )
    if threshold > _HIGH:
        found.append(
            f"the threshold is {threshold:.4f}: good parts score so high that few bad ones can score higher; "
            "try known bad parts"
        )
    return found
