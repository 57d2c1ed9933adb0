"""Parameters and answers, as callers see them.

Knows names, ranges and rounding of the contract; computes nothing.
"""

from typing import Annotated, Literal, Self

import pybase64
from pydantic import BaseModel, ConfigDict, Field

from app.api.fields import (
    STRICT_INTEGER,
    STRICT_NUMBER,
    ImagePath,
    ProductName,
    Roi,
    Score,
    Text128,
)
from app.engine.inspection import Inspection, Order, StageTimes, ThresholdSource
from app.engine.regions import Region
from app.engine.render import Heatmap, HeatmapFormat, HeatmapKind, HeatmapOptions
from app.products.live import Basis
from app.runtime.protocol import ModelInfo

_DECIMALS = 4

_AnswerProfile = Literal["full", "plc", "line"]
_SidePx = Annotated[int, STRICT_NUMBER, Field(ge=16, le=4096)]


class DetectParameters(BaseModel):
    """What a caller may say about an image; all else is refused: ignoring it could pass a bad part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: ProductName = Field(
        default="object",
        description="Product name as people say it; any name is fine.",
        examples=["metal nut"],
    )
    part_id: Text128 | None = Field(default=None, description="Echoed, never interpreted.")
    sequence: Annotated[int, STRICT_INTEGER, Field(ge=-(2**63), lt=2**63)] | None = Field(
        default=None, description="Echoed, never interpreted."
    )
    threshold: Score | None = Field(
        default=None,
        description="Decision threshold for this call; by default the product profile's, or else the bundle's.",
    )
    heatmap: Literal["overlay", "map", "mask", "none"] = Field(
        default="overlay", description="Heat map to draw."
    )
    heatmap_format: Literal["png", "jpeg", "webp"] = Field(
        default="png", description="Its encoding."
    )
    heatmap_size: _SidePx | Literal["original"] = Field(
        default=512,
        description="Its longest side in px, never more than the sent image's, or `original`.",
    )

    roi: Roi | None = Field(
        default=None,
        description="`x,y,width,height` in px of the sent image: only this part is inspected.",
        examples=["40,30,200,100"],
    )
    image_path: ImagePath | None = Field(
        default=None,
        description="Instead of an image: a file below one of the service's SSVP_IMAGE_ROOTS.",
    )
    profile: _AnswerProfile = Field(
        default="full",
        description="How to answer: `full`; `plc`: flat ASCII JSON below 512 bytes; `line`: one line of text.",
    )
    deadline_ms: Annotated[int, STRICT_NUMBER, Field(ge=1, le=3_600_000)] | None = Field(
        default=None,
        description="Longest time from arrival to answer; by default SSVP_DEFAULT_DEADLINE_MS.",
    )

    def deadline(self, arrived_at: float, default_deadline_ms: int) -> float:
        """Return when the answer must be written; both are `time.perf_counter()` values."""
        allowed_ms = default_deadline_ms if self.deadline_ms is None else self.deadline_ms
        return arrived_at + allowed_ms / 1000

    def order(self, image: bytes, deadline: float, basis: Basis | None = None) -> Order:
        """Return what the engine is to do until then, and what it is to decide on if that was found before."""
        size = None if self.heatmap_size == "original" else self.heatmap_size
        wanted = self.heatmap if self.profile == "full" else "none"
        kind, encoding = HeatmapKind(wanted), HeatmapFormat(self.heatmap_format)
        heatmap = HeatmapOptions(kind, encoding, size)
        return Order(image, self.product, self.threshold, heatmap, self.roi, deadline, basis=basis)


class RegionAnswer(BaseModel):
    """One anomalous area, in pixels of the sent image after EXIF rotation."""

    x: int
    y: int
    width: int
    height: int
    area_px: int
    score: float

    @classmethod
    def of(cls, region: Region) -> Self:
        """Write down one region."""
        return cls(
            x=region.x,
            y=region.y,
            width=region.width,
            height=region.height,
            area_px=region.area_px,
            score=round(region.score, _DECIMALS),
        )


class HeatmapAnswer(BaseModel):
    """The heat map; `data` is base64."""

    kind: Literal["overlay", "map", "mask"]
    media_type: str
    width: int
    height: int
    data: str

    @classmethod
    def of(cls, heatmap: Heatmap) -> Self:
        """Write down one heat map."""
        return cls.model_construct(
            kind=heatmap.kind.value,
            media_type=heatmap.media_type,
            width=heatmap.size.width,
            height=heatmap.size.height,
            data=pybase64.b64encode_as_string(heatmap.data),
        )


class ModelAnswer(BaseModel):
    """Which model judged."""

    name: str
    version: str
    digest: str

    @classmethod
    def of(cls, model: ModelInfo) -> Self:
        """Write down which model it is."""
        return cls(name=model.name, version=model.version, digest=model.digest)


class TimingAnswer(BaseModel):
    """Milliseconds; `total` counts from the request's arrival, so reading the body is in it."""

    decode: float
    queue: float
    inference: float
    render: float
    total: float

    @classmethod
    def of(cls, times: StageTimes, total_s: float) -> Self:
        """Write down stage times."""
        return cls(
            decode=_ms(times.decode),
            queue=_ms(times.queue),
            inference=_ms(times.inference),
            render=_ms(times.render),
            total=_ms(total_s),
        )


class Answer(BaseModel):
    """The verdict on one image. `result_code` is 0 for OK, 1 for NG; errors carry 2."""

    request_id: str
    part_id: str | None
    sequence: int | None
    product: str
    result: Literal["OK", "NG"]
    result_code: Literal[0, 1]
    score: float
    threshold: float
    threshold_source: ThresholdSource
    profile_version: int | None
    score_global: float
    score_local: float
    regions: list[RegionAnswer]
    heatmap: HeatmapAnswer | None
    model: ModelAnswer
    timing_ms: TimingAnswer
    batch_size: int
    warnings: list[str]

    @classmethod
    def of(
        cls, inspection: Inspection, parameters: DetectParameters, request_id: str, total_s: float
    ) -> Self:
        """Write down an inspection for its caller."""
        verdict, model = inspection.verdict, inspection.model
        return cls(
            request_id=request_id,
            part_id=parameters.part_id,
            sequence=parameters.sequence,
            product=parameters.product,
            result=verdict.result.value,
            result_code=verdict.result.code,
            score=rounded_score(verdict.score, verdict.threshold),
            threshold=verdict.threshold,
            threshold_source=verdict.threshold_source,
            profile_version=verdict.profile_version,
            score_global=round(verdict.score_global, _DECIMALS),
            score_local=round(verdict.score_local, _DECIMALS),
            regions=[RegionAnswer.of(region) for region in verdict.regions],
            heatmap=None if verdict.heatmap is None else HeatmapAnswer.of(verdict.heatmap),
            model=ModelAnswer.of(model),
            timing_ms=TimingAnswer.of(inspection.times, total_s),
            batch_size=inspection.batch_size,
            warnings=list(inspection.basis.warnings) if parameters.threshold is None else [],
        )


class Problem(BaseModel):
    """RFC 9457 problem document; `result_code` 2 says that there is no verdict."""

    type: str
    title: str
    status: int
    detail: str
    error_type: str
    code: str
    result_code: Literal[2] = 2
    request_id: str
    needed: int | None = Field(
        default=None,
        description="Good parts needed for the rate that was asked for; with calibration_too_few.",
    )


class BatchItem(Answer):
    """The verdict on one image of a batch."""

    status: Literal[200]


class BatchAnswer(BaseModel):
    """One result for each image, in the images' order: a verdict, or the problem that kept it away."""

    request_id: str
    results: list[BatchItem | Problem]


class Health(BaseModel):
    """What a probe answers; `reason` says why not."""

    status: str
    reason: str


def rounded_score(score: float, threshold: float) -> float:
    """Round for display, but not across the threshold: the answer's own numbers must agree with its result."""
    rounded = round(score, _DECIMALS)
    return rounded if (rounded >= threshold) == (score >= threshold) else score


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)
