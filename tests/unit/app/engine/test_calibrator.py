"""Good parts scored in the service itself, behind whatever the line wants."""

import pytest

from app.engine.calibrator import Calibrator, GoodPart
from app.engine.inspection import Order
from app.engine.lifecycle import Engine
from app.engine.render import HeatmapKind, HeatmapOptions
from app.engine.state import State
from app.errors import QueueFullError
from app.products.live import Products
from app.products.store import ProductStore
from app.settings import Settings
from tests.conftest import until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio


async def test_a_share_that_the_line_waits_for_makes_a_calibration_wait() -> None:
    """What refuses a part on the line is no reason to give up an hour's good parts."""
    engine, refusals = Engine(Settings()), [QueueFullError("full")]

    async def read() -> bytes:
        if refusals:
            raise refusals.pop()
        return encode(grey(51))

    async with engine.running(FakeRuntime):
        await until(lambda: engine.snapshot().state is State.READY)
        (found,) = await Calibrator(engine).score_all([GoodPart("a.png", read)], "nut", None)
    assert (found.name, found.score, refusals) == ("a.png", 0.2, [])


async def test_only_the_lines_own_scores_count_for_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the golden image nor good parts that are calibrated with say how the line is doing."""
    products, counted = Products(ProductStore(None)), list[float]()
    monkeypatch.setattr(products, "observe", lambda _, score: counted.append(score))
    engine = Engine(Settings(), products=products)

    async def read() -> bytes:
        return encode(grey(51))

    async with engine.running(FakeRuntime):
        await until(lambda: engine.snapshot().state is State.READY)
        await Calibrator(engine).score_all([GoodPart("a.png", read)], "nut", None)
        with engine.admitted() as inspector:
            order = Order(encode(grey(255)), "nut", None, HeatmapOptions(HeatmapKind.NONE))
            await inspector.inspect(order)
    assert counted == [1.0]
