"""The ceiling and the peers do what the service does, or it would be compared with other work."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.engine.batcher import Batcher
from app.engine.image_threads import ImageThreads
from app.engine.inspection import Order
from app.engine.inspector import Inspector
from app.engine.render import HeatmapOptions
from app.engine.waiting import BatchLimits
from app.products.live import Products
from app.products.store import ProductStore
from benchmarks.stages import PRODUCT, conclude, open_picture
from model.config import SSVP_NANO
from tests.fakes import FakeRuntime, encode

MAX_PIXELS = 10_000_000
pytestmark = pytest.mark.anyio


@pytest.fixture
def runtime() -> FakeRuntime:
    """A fake that looks at as many pixels as ssvp-nano."""
    fake = FakeRuntime()
    fake.side_px = SSVP_NANO.dino_size_px
    return fake


@pytest.fixture
async def inspector(runtime: FakeRuntime, anyio_backend: str) -> AsyncIterator[Inspector]:
    """The service's own stages, whose batcher is never asked."""
    with ThreadPoolExecutor(1) as pool:
        batcher, threads = Batcher(runtime, BatchLimits()), ImageThreads(pool, 1)
        yield Inspector(runtime, batcher, threads, MAX_PIXELS, Products(ProductStore(None)))


@pytest.mark.parametrize("encoding", ["PNG", "JPEG"])
@pytest.mark.parametrize("shape", [(2048, 2304, 3), (2048, 2302, 3), (130, 90, 3)], ids=str)
async def test_a_picture_is_opened_and_drawn_as_by_the_service(
    inspector: Inspector, runtime: FakeRuntime, shape: tuple[int, ...], encoding: str
) -> None:
    """Large JPEGs at a part of their size, the rest whole: the same pixels, regions and heat map."""
    coarse = np.random.default_rng(0).integers(0, 256, (512, 576, 3), dtype=np.uint8)
    image = coarse.repeat(4, axis=0).repeat(4, axis=1)[: shape[0], : shape[1]]
    order = Order(encode(image, encoding), PRODUCT, None, HeatmapOptions())
    ours, theirs = open_picture(order.image, runtime, MAX_PIXELS), inspector._open(order)
    assert np.array_equal(ours.query.prepared, theirs.query.prepared)
    assert (ours.query.product, ours.drawn) == (theirs.query.product, theirs.drawn_size)
    assert theirs.picture is not None
    assert ours.picture.tobytes() == theirs.picture.tobytes()
    (prediction,) = runtime.predict([ours.query])
    basis = inspector.basis(order.product, None)
    verdict = inspector._conclude(order, theirs, basis, prediction)
    found = conclude(ours, prediction, runtime.info)
    assert (found.result, found.regions, found.heatmap) == (
        verdict.result,
        verdict.regions,
        verdict.heatmap,
    )
