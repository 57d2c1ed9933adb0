"""What a call sends and whether it may be sent twice.

Knows paths and parameters of the contract; sends nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict
from urllib.parse import quote

from app.client.answers import GoodScore
from app.client.pictures import Image, read_picture

Roi = str | tuple[int, int, int, int]
CALIBRATE_S = 610.0  # the service gives up after 600, others before it not counted


class BatchOptions(TypedDict, total=False):
    """What may be said of several images; docs/api.md explains each; what is left out is the service's default.

    `deadline_ms` is the longest time from the call to its answer, retries included: the service is told what is
    left of it.
    """

    product: str | None
    threshold: float | None
    heatmap: Literal["overlay", "map", "mask", "none"] | None
    heatmap_format: Literal["png", "jpeg", "webp"] | None
    heatmap_size: int | Literal["original"] | None
    roi: Roi | None
    deadline_ms: int | None


class DetectOptions(BatchOptions, total=False):
    """What may be said of one image; `image_path` names a file on the service's side."""

    image_path: str | None
    part_id: str | None
    sequence: int | None


class CalibrateOptions(TypedDict, total=False):
    """What may be said of a calibration.

    `image_path` is a pattern of files on the service's side; `digest` goes with scores, `model.digest` of the
    answers they came with. `timeout_s` is the longest time of this call: by default the client's own, but no
    less than 610 s where pictures are to be scored.
    """

    image_path: str | None
    digest: str | None
    false_reject: float | None
    dry_run: bool | None
    roi: Roi | None
    timeout_s: float | None


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        query: parameters; deadline_ms is added when it is sent.
        image: raw body, not read yet: a share may be dead, and the call's time is limited.
        images: likewise, parts of a multipart body.
        content: raw body.
        files: parts of a multipart body.
        json: JSON body.
        repeatable: asking twice changes nothing, so it may be sent again though it was received.
        once: is never sent again, received or not.
        takes_s: what the service may take for it; the client's own time is extended to that.
        timeout_s: longest time of the call, retries included, instead of the client's own.
        deadline_s: the same, where shorter; the service is told of it.
        answers: statuses that are answers, not errors.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    image: Image | None = None
    images: Sequence[Image] = ()
    content: bytes | None = None
    files: Sequence[tuple[str, tuple[str, bytes]]] | None = None
    json: Any = None
    repeatable: bool = True
    once: bool = False
    takes_s: float = 0.0
    timeout_s: float | None = None
    deadline_s: float | None = None
    answers: tuple[int, ...] = (200,)


async def loaded(call: Call) -> Call:
    """Return a call with its pictures in memory.

    Raises:
        OSError: one cannot be read.
    """
    if call.image is not None:
        return replace(call, content=(await read_picture(call.image)).data)
    if call.images:
        pictures = [await read_picture(image) for image in call.images]
        return replace(call, files=[("image", (p.name, p.data)) for p in pictures])
    return call


def detect_call(image: Image | None, options: Mapping[str, Any]) -> Call:
    """Ask for one inspection; where no image is sent, `image_path` among the options names one."""
    query = written(options)
    if (image is None) == ("image_path" not in query):
        raise ValueError("give an image or an image_path, one of them")
    return Call("POST", "/v1/detect", query, image, deadline_s=_deadline_s(options))


def batch_call(images: Sequence[Image], options: Mapping[str, Any]) -> Call:
    """Ask for several inspections at once."""
    deadline = _deadline_s(options)
    return Call("POST", "/v1/detect/batch", written(options), images=images, deadline_s=deadline)


def calibrate_call(
    product: str,
    images: Sequence[Image],
    scores: Iterable[GoodScore] | None,
    options: Mapping[str, Any],
) -> Call:
    """Ask for a threshold learnt from good parts; it may change what decides, so it is sent once."""
    given = {name: value for name, value in options.items() if value is not None}
    timeout_s = given.pop("timeout_s", None)
    if "roi" in given:
        given["roi"] = _roi(given["roi"])
    forms = [bool(images), scores is not None, "image_path" in given]
    if sum(forms) != 1:
        raise ValueError("give images, an image_path or scores, one of them")
    path = f"{_product_path(product)}/calibrate"
    call = Call("POST", path, repeatable=False, takes_s=CALIBRATE_S, timeout_s=timeout_s)
    if images:
        return replace(call, query=written(given), images=images)
    if scores is not None:
        given["scores"] = [score.model_dump() for score in scores]
        return replace(call, json=given, takes_s=0.0)
    return replace(call, json=given)


def rollback_call(product: str, version: int | None) -> Call:
    """Ask for another version to decide; sent once."""
    path = f"{_product_path(product)}/rollback"
    return Call("POST", path, json={"version": version}, repeatable=False)


def product_call(product: str) -> Call:
    """Ask for one product's versions."""
    return Call("GET", _product_path(product))


PRODUCTS = Call("GET", "/v1/products")
READY = Call("GET", "/readyz", once=True, answers=(200, 503))


def written(options: Mapping[str, Any]) -> dict[str, str]:
    """Write parameters as a query takes them; what is None is not said."""
    said = {n: v for n, v in options.items() if v is not None and n != "deadline_ms"}
    return {name: _text(name, value) for name, value in said.items()}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _roi(value) if name == "roi" else str(value)


def _roi(value: Roi) -> str:
    return value if isinstance(value, str) else ",".join(str(number) for number in value)


def _deadline_s(options: Mapping[str, Any]) -> float | None:
    allowed_ms = options.get("deadline_ms")
    if allowed_ms is None:
        return None
    if allowed_ms < 1:
        raise ValueError("deadline_ms must be 1 or more")
    return float(allowed_ms) / 1000


def _product_path(product: str) -> str:
    return f"/v1/products/{quote(product, safe='')}"
