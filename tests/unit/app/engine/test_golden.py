"""The golden image in service: what it vouches for, and what it does not."""

import pytest

from app.engine.inspection import Order
from app.engine.lifecycle import Engine
from app.engine.render import HeatmapKind, HeatmapOptions
from app.engine.state import State
from app.errors import DeviceLostError, NotReadyError
from app.settings import Settings
from tests.conftest import until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

ORDER = Order(encode(grey(200)), "x", None, HeatmapOptions(HeatmapKind.NONE))


async def test_no_verdict_leaves_a_model_that_is_known_to_be_wrong() -> None:
    """A part that was inspected already gets an error when the golden image has just failed."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)

        async def inspect() -> None:
            with engine.admitted() as inspector:
                await inspector.inspect(ORDER)
                runtime.bias = -0.3  # now it would say OK
                await until(lambda: engine.snapshot().state is State.NOT_READY)

        with pytest.raises(NotReadyError):
            await inspect()
        runtime.bias = 0.0
        await until(lambda: engine.snapshot().state is State.READY)
        with engine.admitted() as inspector:
            await inspector.inspect(ORDER)


@pytest.mark.parametrize("bias_afterwards", [0.0, None], ids=["right again", "late"])
async def test_a_wrong_score_is_not_forgotten_while_a_part_is_inspected(
    bias_afterwards: float | None,
) -> None:
    """A golden image that passes later, or is late, does not vouch for what was computed before."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)

        async def inspect() -> None:
            with engine.admitted() as inspector:
                await inspector.inspect(ORDER)
                runtime.bias = -0.3
                await until(lambda: engine.snapshot().state is State.NOT_READY)
                if bias_afterwards is None:
                    runtime.gate.clear()
                    await until(lambda: not engine._wrong)
                    return
                runtime.bias = bias_afterwards
                await until(lambda: engine.snapshot().state is State.READY)

        with pytest.raises(NotReadyError, match="golden"):
            await inspect()
        runtime.gate.set()


async def test_a_slow_golden_image_does_not_spoil_what_is_under_way() -> None:
    """Lateness closes the door; verdicts already computed by a right model still leave."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        with engine.admitted() as inspector:
            await inspector.inspect(ORDER)
            runtime.gate.clear()
            await until(lambda: engine.snapshot().state is State.NOT_READY)
        runtime.gate.set()


async def test_a_device_lost_at_the_first_golden_image_ends_the_process() -> None:
    """There is nothing to wait for: the engine has failed, and says so once."""
    runtime = FakeRuntime()

    def lose() -> None:
        raise DeviceLostError("gone")

    runtime.on_predict = lose
    engine, failures = Engine(Settings()), []
    engine.on_failure = lambda: failures.append(True)
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.FAILED)
        assert not engine.snapshot().alive
        assert failures == [True]
