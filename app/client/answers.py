"""The service's answers as frozen objects.

Knows names and types of the contract; knows neither how they are asked for nor the service's own schemas: those
pull in the engine. A test holds the two together. Members that a newer service adds are passed over.
"""

from typing import Annotated, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from app.client.errors import SSVPError, error_of


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Region(_Answer):
    """One anomalous area, in pixels of the sent image after EXIF rotation."""

    x: int
    y: int
    width: int
    height: int
    area_px: int
    score: float


class Heatmap(_Answer):
    """An encoded picture.

    Attributes:
        data: the file's bytes.
    """

    kind: Literal["overlay", "map", "mask"]
    media_type: str
    width: int
    height: int
    data: Annotated[Base64Bytes, Field(repr=False)]

    @property
    def suffix(self) -> str:
        """The file name ending that belongs to it."""
        return "." + {"jpeg": "jpg"}.get(kind := self.media_type.rpartition("/")[2], kind)


class Model(_Answer):
    """Which model judged; `digest` identifies its bundle."""

    name: str
    version: str
    digest: str = ""


class Timing(_Answer):
    """Milliseconds of each stage and from arrival to answer."""

    decode: float
    queue: float
    inference: float
    render: float
    total: float


class Inspection(_Answer):
    """The verdict on one image.

    Attributes:
        threshold_source: `request`, `profile` (of the product) or `bundle`.
        profile_version: version of the product's profile, where that decided.
        warnings: for instance that the product's profile was made with another bundle and not used.
    """

    request_id: str
    part_id: str | None
    sequence: int | None
    product: str
    result: Literal["OK", "NG"]
    result_code: Literal[0, 1]
    score: float
    threshold: float
    threshold_source: str
    profile_version: int | None = None
    score_global: float
    score_local: float
    regions: tuple[Region, ...]
    heatmap: Heatmap | None
    model: Model
    timing_ms: Timing
    batch_size: int
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the part may pass."""
        return self.result == "OK" and self.result_code == 0


class PartProblem(_Answer):
    """Why one image of a batch has no verdict."""

    status: int
    code: str
    detail: str
    request_id: str
    result_code: Literal[2]

    @property
    def ok(self) -> bool:
        """Whether the part may pass: no."""
        return False

    def error(self) -> SSVPError:
        """Return it as the error that a call with this image alone would have raised."""
        return error_of(self.status, self.model_dump())


class BatchAnswer(_Answer):
    """One result for each image, in the images' order."""

    request_id: str
    results: tuple[Inspection | PartProblem, ...]


class ProductProfile(_Answer):
    """A product's own threshold and what it rests on.

    Attributes:
        false_reject: asked rate of good parts that are rejected.
        n: good parts it was learnt from.
        interval: 95 % for the rate that comes out of it.
        bundle: whose scores these are.
        roi: part of the image it is for; None is the whole.
        quantiles: scores that cut the good parts into bins; drift is counted in them.
        shares: of the good parts in each bin.
        replaces: version that decided before, 0: none; None: not known.
    """

    product: str
    version: int
    threshold: float
    false_reject: float
    n: int
    interval: tuple[float, float]
    bundle: Model
    created_at: str
    roi: str | None
    quantiles: tuple[float, ...]
    shares: tuple[float, ...]
    warnings: tuple[str, ...]
    replaces: int | None = None


class GoodScore(_Answer):
    """The score of one good part."""

    name: str
    score: float


class Calibration(_Answer):
    """A new profile.

    Attributes:
        saved: whether it decides from now on; `reason` says why not.
        text: the JSON text of a whole products file with this profile.
        stands_out: names of pictures that look unlike the others.
        needed: good parts that the asked rate needs.
    """

    request_id: str
    profile: ProductProfile
    saved: bool
    reason: str | None
    text: Annotated[str, Field(repr=False)]
    scores: Annotated[tuple[GoodScore, ...], Field(repr=False)]
    stands_out: tuple[str, ...]
    needed: int


class Product(_Answer):
    """One product and whether its profile decides."""

    product: str
    current: ProductProfile | None
    usable: bool
    reason: str | None
    versions: tuple[int, ...]


class Products(_Answer):
    """All products with a profile; `writable` tells whether profiles can be saved."""

    bundle: Model
    writable: bool
    products: tuple[Product, ...]


class ProductHistory(_Answer):
    """All versions of one product's profile; `current` decides, None is the bundle's threshold."""

    product: str
    current: int | None
    history: tuple[ProductProfile, ...]


class Readiness(_Answer):
    """Whether images are inspected now, and why not."""

    status: str
    reason: str

    @property
    def ready(self) -> bool:
        """Whether images are inspected now."""
        return self.status == "ready"
