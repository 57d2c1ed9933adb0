"""`/v1/products`: thresholds from good parts, what is kept of them, and the way back.

Knows where good parts come from: a body, paths, or scores that were computed before; computes no threshold.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from app.api.access import refuse_cross_site, require_key
from app.api.body import read_body, unless_gone
from app.api.deps import (
    CalibrationRoomDep,
    CalibratorDep,
    EngineDep,
    ImageFilesDep,
    KeysDep,
    ProductsDep,
    RecordDep,
    RoomDep,
    SettingsDep,
)
from app.api.forms import BodyLimits, Received, read_as
from app.api.openapi import problem_responses
from app.api.product_openapi import CALIBRATE_DESCRIPTION, calibrate_openapi, rollback_openapi
from app.api.product_schemas import (
    CalibrateParameters,
    CalibrationAnswer,
    HistoryAnswer,
    ProductAnswer,
    ProductsAnswer,
    RollbackParameters,
    named_scores,
)
from app.api.query import CalibratedPath, ProductPath
from app.api.receive import take_apart
from app.api.schemas import ModelAnswer
from app.engine.calibrator import LIMIT_S, GoodPart
from app.engine.image_files import ImageFiles
from app.engine.lifecycle import Engine
from app.errors import ImageMissingError, ParameterError, StartingError
from app.path_text import as_text
from app.products.calibration import NamedScore, calibrate
from app.products.conformal import needed
from app.products.errors import BundleChangedError
from app.products.profile import BundleIdentity, product_key
from app.products.store import Saved
from app.runtime.protocol import ModelInfo

logger = logging.getLogger(__name__)

router = APIRouter(
    tags=["products"],
    dependencies=[Depends(require_key), Depends(refuse_cross_site)],
    responses=problem_responses(products=True),
)

_LIMITS = BodyLimits(parts=2_000, json_marks=80_000)


@router.get("/v1/products", summary="List product profiles")
async def list_products(engine: EngineDep, products: ProductsDep) -> ProductsAnswer:
    """Say for each product with a profile whether it decides and, if not, why."""
    model, store = _model(engine), products.store
    return ProductsAnswer(
        bundle=ModelAnswer.of(model),
        writable=await asyncio.to_thread(store.why_read_only) is None,
        products=[
            ProductAnswer.of(key, history, model)
            for key, history in sorted(store.file.products.items())
        ],
    )


@router.post(
    "/v1/products/{product:path}/calibrate",
    summary="Learn a product's threshold from good parts",
    description=CALIBRATE_DESCRIPTION,
    openapi_extra=calibrate_openapi(),
)
async def calibrate_product(
    request: Request,
    product: CalibratedPath,
    engine: EngineDep,
    settings: SettingsDep,
    record: RecordDep,
    files: ImageFilesDep,
    keys: KeysDep,
    products: ProductsDep,
    calibrator: CalibratorDep,
    room: CalibrationRoomDep,
) -> CalibrationAnswer:
    """Score every picture, or take the scores given, and make the threshold of them."""
    engine.refuse_if_unavailable()
    body = await read_body(request, room, settings)
    with engine.admitted() as inspector:
        received = await take_apart(request, body, _LIMITS)
        parameters = await run_in_threadpool(read_as, CalibrateParameters, received.pairs)
        model = inspector.model
    # From here on the line has all places but those of the pictures that are being scored.
    if parameters.scores is not None:
        scores = _given(received, parameters, model)
    else:
        parts = await _good_parts(request, received, parameters, files)
        keys.spend_more(record.key, len(parts) - 1)
        scores = await unless_gone(request, calibrator.score_all(parts, product, parameters.roi))
    bundle = BundleIdentity(name=model.name, version=model.version, digest=model.digest)
    found = await run_in_threadpool(
        calibrate, product, scores, parameters.false_reject, bundle, parameters.area()
    )
    saved = await asyncio.to_thread(products.store.add, found.profile, dry_run=parameters.dry_run)
    _log(saved)
    return CalibrationAnswer(
        request_id=record.request_id,
        profile=saved.profile,
        saved=saved.reason is None,
        reason=saved.reason,
        text=saved.text,
        scores=scores,
        stands_out=found.stands_out,
        needed=needed(parameters.false_reject),
    )


@router.post(
    "/v1/products/{product:path}/rollback",
    summary="Let another version decide",
    openapi_extra=rollback_openapi(),
)
async def roll_back(
    request: Request,
    product: ProductPath,
    settings: SettingsDep,
    products: ProductsDep,
    room: RoomDep,
) -> HistoryAnswer:
    """Go back to the version that this one replaced or to the one named; 0 is the bundle's threshold."""
    body = await read_body(request, room, settings)
    received = await take_apart(request, body)
    if received.images:
        raise ParameterError("image: not allowed in a rollback")
    version = read_as(RollbackParameters, received.pairs).version
    history = await asyncio.to_thread(products.store.rollback, product, version)
    logger.info("rolled %a back: version %s decides", product_key(product), history.current or 0)
    return HistoryAnswer.of(product_key(product), history)


@router.get("/v1/products/{product:path}", summary="Show all versions of a product's profile")
async def show_product(product: ProductPath, products: ProductsDep) -> HistoryAnswer:
    """Return the versions that are kept, oldest first."""
    return HistoryAnswer.of(product_key(product), products.store.history(product))


def _model(engine: Engine) -> ModelInfo:
    snapshot = engine.snapshot()
    if snapshot.model is None:
        raise StartingError(snapshot.reason)
    return snapshot.model


def _given(
    received: Received, parameters: CalibrateParameters, model: ModelInfo
) -> list[NamedScore]:
    if received.images or parameters.image_path is not None:
        raise ParameterError("scores: send exactly one of scores, images and image_path")
    if parameters.digest is None:
        raise ParameterError(
            "digest: needed with scores, to check that they come from the loaded bundle"
        )
    if parameters.digest != model.digest:
        raise BundleChangedError(
            f"the scores were made with bundle {parameters.digest[:12]}..., but {model.digest[:12]}... "
            f"({model.name} {model.version}) is loaded; inspect the good parts again"
        )
    return named_scores(parameters.scores or [])


async def _good_parts(
    request: Request, received: Received, parameters: CalibrateParameters, files: ImageFiles
) -> list[GoodPart]:
    """Return the pictures that were sent, or those a pattern means, not read yet."""
    if parameters.digest is not None:
        raise ParameterError("digest: allowed only with scores")
    if parameters.image_path is None:
        if not received.images:
            raise ImageMissingError("there is no `image`, no `image_path` and no `scores`")
        return [
            GoodPart(image.name or f"image {i}", _sent(image.data))
            for i, image in enumerate(received.images, 1)
        ]
    if received.images:
        raise ImageMissingError("send `image` or `image_path`, not both")
    finding = files.find(parameters.image_path, time.perf_counter() + LIMIT_S)
    paths = await unless_gone(request, finding)
    return [GoodPart(as_text(path), _on_disk(files, path)) for path in paths]


def _log(saved: Saved) -> None:
    profile = saved.profile
    logger.info(
        "calibrated %a: version %d, threshold %.4f from %d good parts for a false-reject rate of %g; %s",
        profile.product,
        profile.version,
        profile.threshold,
        profile.n,
        profile.false_reject,
        "saved" if saved.reason is None else f"not saved: {saved.reason}",
    )


def _sent(image: bytes) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return image

    return read


def _on_disk(files: ImageFiles, path: str) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return await files.read(path, time.perf_counter() + LIMIT_S)

    return read
