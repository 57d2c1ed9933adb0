"""What callers say and are told about product profiles.

Knows names and ranges of the contract; computes nothing.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from app.api.fields import STRICT_INTEGER, STRICT_NUMBER, ImagePath, Roi, Score
from app.api.schemas import ModelAnswer
from app.products.calibration import NamedScore
from app.products.live import why_unused
from app.products.profile import ProductHistory, ProductProfile
from app.runtime.protocol import ModelInfo

MAX_SCORES = 20_000


def _from_pairs(value: Any) -> Any:
    """Take a JSON object that was read as pairs; a name that stands there twice is no object."""
    if not isinstance(value, list) or not all(isinstance(p, tuple) for p in value):
        return value
    if len({name for name, _ in value}) < len(value):
        raise ValueError("a name is given more than once")
    return dict(value)


class GivenScore(BaseModel):
    """One good part's score, as `/v1/detect` answered it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(max_length=256)]
    score: Score


class CalibrateParameters(BaseModel):
    """What a caller may say about a calibration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    false_reject: Annotated[float, STRICT_NUMBER, Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.005, description="Largest share of good parts that may be rejected."
    )
    dry_run: bool = Field(default=False, description="Answer, but save nothing.")
    roi: Roi | None = Field(
        default=None,
        description="`x,y,width,height` in px: only this part is inspected; requests must send the same.",
        examples=["40,30,200,100"],
    )
    image_path: ImagePath | None = Field(
        default=None,
        description="Instead of images: a pattern like `line3/good/*.png` below one of SSVP_IMAGE_ROOTS.",
    )
    scores: (
        Annotated[
            list[Annotated[GivenScore, BeforeValidator(_from_pairs)]], Field(max_length=MAX_SCORES)
        ]
        | None
    ) = Field(default=None, description="Instead of images: scores of /v1/detect; JSON only.")
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="With scores: `model.digest` of the answers they came with."
    )

    def area(self) -> str | None:
        """Return `roi` as product profiles write it, without blanks."""
        return None if self.roi is None else str(self.roi)


class RollbackParameters(BaseModel):
    """Which version decides from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[int, STRICT_INTEGER, Field(ge=0, le=10**9)] | None = Field(
        default=None,
        description="0: the bundle's threshold decides; left out: the version that the current one replaced.",
    )


class CalibrationAnswer(BaseModel):
    """A product's new profile, and what it was made of."""

    request_id: str
    profile: ProductProfile
    saved: bool
    reason: str | None = Field(description="Why it was not saved.")
    text: str = Field(description="A whole products file with this profile, to commit or to mount.")
    scores: list[NamedScore] = Field(description="In the order sent.")
    stands_out: list[str] = Field(description="Pictures that look like bad parts.")
    needed: int = Field(description="Good parts needed for the rate that was asked for.")


class ProductAnswer(BaseModel):
    """One product and whether its profile decides."""

    product: str
    current: ProductProfile | None
    usable: bool
    reason: str | None
    versions: list[int]

    @classmethod
    def of(cls, key: str, history: ProductHistory, model: ModelInfo) -> Self:
        """Write down one product."""
        reason = why_unused(history, model.digest)
        return cls(
            product=key,
            current=history.profile,
            usable=reason is None,
            reason=reason,
            versions=[found.version for found in history.history],
        )


class ProductsAnswer(BaseModel):
    """All products with a profile."""

    bundle: ModelAnswer
    writable: bool
    products: list[ProductAnswer]


class HistoryAnswer(BaseModel):
    """One product's versions; `current` decides, null is the bundle's threshold."""

    product: str
    current: int | None
    history: list[ProductProfile]

    @classmethod
    def of(cls, key: str, history: ProductHistory) -> Self:
        """Write down a history."""
        return cls(product=key, current=history.current, history=list(history.history))


def named_scores(given: list[GivenScore]) -> list[NamedScore]:
    """Return scores as the calibration takes them; one without a name is called by its number."""
    return [NamedScore(s.name or f"image {i}", s.score) for i, s in enumerate(given, 1)]
