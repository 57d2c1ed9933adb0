"""One image on its way: whose time it has, what it keeps while it waits, and where the way ends."""

import asyncio
import threading
import time
from dataclasses import astuple, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.engine.batcher import Batcher
from app.engine.decode import decode
from app.engine.image_threads import ImageThreads, Stage
from app.engine.inspection import Order
from app.engine.inspector import Inspector
from app.engine.lifecycle import Engine
from app.engine.render import HeatmapKind, HeatmapOptions
from app.engine.verdict import decide
from app.engine.waiting import BatchLimits
from app.engine.worker import Scored
from app.errors import DeadlinePassedError, DrainingError
from app.products.calibration import NamedScore, calibrate
from app.products.live import Basis
from app.products.profile import BundleIdentity
from app.runtime.protocol import Query
from app.settings import Settings
from tests.fakes import DIGEST, MAP_PX, FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

ORDER = Order(encode(grey(200)), "x", None, HeatmapOptions(HeatmapKind.NONE))


async def _inspector(runtime: FakeRuntime) -> tuple[Inspector, Batcher, Engine]:
    """Return an inspector with one image thread of its own, through an engine that is never ready."""
    engine = Engine(Settings(decode_threads=1))
    batcher = Batcher(runtime, BatchLimits())
    await batcher.start()
    threads = ImageThreads(engine._pool, 1)
    inspector = Inspector(runtime, batcher, threads, 10_000_000, engine._products)
    return inspector, batcher, engine


async def test_slow_drawings_do_not_refuse_quick_inspections() -> None:
    """After heat maps that took seconds, an inspection without one has all of its time."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    inspector._conclude_s[HeatmapKind.OVERLAY, True] = 60.0
    for options in (HeatmapOptions(HeatmapKind.NONE), HeatmapOptions(size_px=None)):
        deadline = time.perf_counter() + 5.0
        order = Order(encode(grey(200)), "x", None, options, deadline=deadline)
        assert (await inspector.inspect(order)).verdict.score > 0.7
    await batcher.stop(1.0)
    engine._pool.shutdown()


@pytest.mark.parametrize(
    ("side_px", "size_px", "kept"),
    [
        (1200, 512, True),
        (1200, 1024, True),
        (1200, 1025, False),
        (1200, None, False),
        (40, 4096, True),
    ],
)
async def test_a_large_picture_is_not_kept_for_its_heat_map(
    side_px: int, size_px: int | None, kept: bool
) -> None:
    """Dozens may wait, with 64 MiB each at 4096 px; it is decoded again, and drawn as large as was asked."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    order = Order(encode(grey(200, side_px)), "x", None, HeatmapOptions(size_px=size_px))
    assert (inspector._open(order).picture is not None) is kept
    heatmap = (await inspector.inspect(order)).verdict.heatmap
    assert heatmap is not None
    assert heatmap.size.width == min(side_px, size_px or side_px)
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_orders_given_up_while_they_wait_keep_nothing() -> None:
    """Nothing waits inside the pool: images whose deadline passed are not held by its queue."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    busy = threading.Event()
    engine._pool.submit(busy.wait)
    await inspector._threads._acquire(Stage.OPEN, 0.0)  # the pool's only thread is taken
    deadline = time.perf_counter() + 0.05
    order = Order(ORDER.image, "x", None, ORDER.heatmap, deadline=deadline)
    outcomes = await asyncio.gather(
        *(inspector.inspect(order) for _ in range(20)), return_exceptions=True
    )
    assert all(isinstance(o, DeadlinePassedError) for o in outcomes)
    assert engine._pool._work_queue.qsize() == 0
    busy.set()
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_an_urgent_image_is_decoded_before_all_that_wait() -> None:
    """Too many images to decode do not make the golden image late, whose deadline is the latest."""
    runtime = FakeRuntime()
    inspector, batcher, engine = await _inspector(runtime)
    opened: list[int] = []
    prepare = runtime.prepare

    def noted(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        opened.append(int(image[0, 0, 0]))
        return prepare(image)

    runtime.prepare = noted  # type: ignore[method-assign]
    await inspector._threads._acquire(Stage.OPEN, 0.0)  # the pool's only thread is taken
    end = time.perf_counter() + 60.0
    hurried = replace(ORDER, deadline=end)
    golden = Order(encode(grey(102)), "x", None, ORDER.heatmap, deadline=end + 60.0, urgent=True)
    waiting = [asyncio.create_task(inspector.inspect(o)) for o in (hurried, hurried, golden)]
    await asyncio.sleep(0)
    inspector._threads._release()
    await asyncio.gather(*waiting)
    assert opened == [102, 200, 200]
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_work_after_the_end_of_the_grace_time_is_refused_not_failed() -> None:
    """The pool is gone: 503, the service is shutting down; no internal error."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    engine._pool.shutdown()
    with pytest.raises(DrainingError):
        await inspector.inspect(ORDER)
    await batcher.stop(1.0)


async def test_the_queue_has_the_time_that_drawing_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An image that is scored at its deadline would be drawn after it; what is kept is half at most."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    submit, asked = batcher.submit, []

    async def noted(query: Query, deadline: float, *, urgent: bool) -> Scored:
        asked.append(deadline)
        return await submit(query, deadline, urgent=urgent)

    monkeypatch.setattr(batcher, "submit", noted)
    end = time.perf_counter() + 600.0
    for expected_s in (2.0, 6000.0):
        inspector._conclude_s[HeatmapKind.NONE, True] = expected_s
        await inspector.inspect(replace(ORDER, deadline=end))
    assert end - asked[0] == pytest.approx(2.0)
    assert end - asked[1] == pytest.approx(300.0, abs=10.0)
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_no_moment_counts_to_two_stages() -> None:
    """Decoding, waiting, computing and drawing together take no longer than the inspection."""
    runtime = FakeRuntime()
    runtime.on_predict = lambda: time.sleep(0.05)
    inspector, batcher, engine = await _inspector(runtime)
    began = time.perf_counter()
    times = (await inspector.inspect(ORDER)).times
    assert times.inference >= 0.05
    assert sum(astuple(times)) <= time.perf_counter() - began
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_a_callers_threshold_moves_the_verdict_and_not_what_is_marked() -> None:
    """Which pixels count as anomalous is the bundle's matter: regions and mask stay as they are."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    image = grey(51, MAP_PX, MAP_PX)  # 0.2 all over, far below the map's threshold
    image[8:16, 8:16] = 255
    for threshold in (0.0, 0.1):
        order = Order(encode(image), "x", threshold, HeatmapOptions(HeatmapKind.MASK))
        verdict = (await inspector.inspect(order)).verdict
        (region,) = verdict.regions
        assert (region.x, region.y, region.width, region.height) == (8, 8, 8, 8)
        assert verdict.heatmap is not None
        mask = decode(verdict.heatmap.data, 10_000)[..., 0]
        np.testing.assert_array_equal(mask == 255, image[..., 0] == 255)
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_a_callers_threshold_goes_before_a_profile_s_and_that_before_the_bundle_s() -> None:
    """What decides was found before the picture was looked at: for all pictures of a request the same."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    inspector._model = replace(inspector.model, default_threshold=0.9)  # not that of the map
    good = [NamedScore("", float(score)) for score in np.linspace(0.2, 0.4, 60)]
    identity = BundleIdentity(name="fake", version="1", digest=DIGEST)
    profile = calibrate("x", good, 0.05, identity, None).profile
    for threshold, basis, expected in (
        (None, None, (0.9, "bundle", None)),
        (None, Basis(profile), (profile.threshold, "profile", profile.version)),
        (0.85, Basis(profile), (0.85, "request", None)),
        (0.0, Basis(profile), (0.0, "request", None)),
    ):
        order = replace(ORDER, threshold=threshold, basis=basis)
        found = (await inspector.inspect(order)).verdict
        assert (found.threshold, found.threshold_source, found.profile_version) == expected
        assert found.result is decide(200 / 255, expected[0])
    await batcher.stop(1.0)
    engine._pool.shutdown()
