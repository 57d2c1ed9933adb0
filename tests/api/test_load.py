"""Many callers at once: every answer is its caller's own, and what is too much is refused at once."""

import asyncio
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.settings import Settings
from tests.conftest import Service, serving
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
PICTURES = [encode(grey(level, 8, 8)) for level in range(256)]
NO_HEATMAP = {"heatmap": "none"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 255),
            st.sampled_from(["good", "good", "good", "poison", "leaves", "late", "broken"]),
        ),
        min_size=1,
        max_size=120,
    ),
    st.integers(1, 9),
    st.integers(1, 64),
)
def test_every_caller_gets_the_answer_to_its_own_image(
    calls: list[tuple[int, str]], max_batch: int, queue_size: int
) -> None:
    """Score, part_id and sequence tell whose image it was; thousands of calls over all examples."""

    async def call(service: Service, number: int, level: int, kind: str) -> str:
        query: dict[str, str | int] = {
            **NO_HEATMAP,
            "part_id": f"part {number}",
            "sequence": number,
            "product": kind,
        }
        if kind == "late":
            query["deadline_ms"] = 1
        body = PICTURES[level] if kind != "broken" else PICTURES[level][:40]
        sending = asyncio.create_task(service.client.post(URL, params=query, content=body))
        if kind == "leaves":
            await asyncio.sleep(0.001)
            sending.cancel()
        try:
            answer = await sending
        except asyncio.CancelledError:
            return "left"
        if answer.status_code == 200:
            found = answer.json()
            assert found["score"] == pytest.approx(level / 255, abs=1e-4)
            assert (found["part_id"], found["sequence"]) == (f"part {number}", number)
            return "answered"
        return str(answer.json()["code"])

    async def play() -> None:
        runtime = FakeRuntime(poison=["poison"])
        runtime.on_predict = lambda: time.sleep(0.0005)
        chosen = Settings(max_batch=max_batch, queue_size=queue_size)
        async with serving(runtime, settings=chosen) as service:
            outcomes = await asyncio.wait_for(
                asyncio.gather(*(call(service, n, *c) for n, c in enumerate(calls))), 30
            )
            for (_, kind), outcome in zip(calls, outcomes, strict=True):
                assert outcome in ALLOWED[kind] | {"queue_full"}
            assert service.engine.snapshot().inflight == 0
            assert service.engine.snapshot().queue_depth == 0
            await _assert_counted(service, outcomes)

    asyncio.run(play())


ALLOWED = {
    "good": {"answered"},
    "poison": {"inference_failed"},
    "leaves": {"left", "answered"},
    "late": {"deadline_passed", "deadline_unreachable", "answered"},
    "broken": {"image_corrupt"},
}


async def _assert_counted(service: Service, outcomes: list[str]) -> None:
    """The metrics add up to what the callers counted."""
    text = (await service.client.get("/metrics")).text
    counted: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("ssvp_requests_total{"):
            counted[line.split('"')[1]] = int(float(line.split()[-1]))
    wanted = Counter(o for o in outcomes if o not in ("left", "answered"))
    left = outcomes.count("left")  # counted as whatever they had come to
    for code, count in wanted.items():
        assert count <= counted[code] <= count + left
    answered = counted["ok"] + counted["ng"]
    assert outcomes.count("answered") <= answered <= outcomes.count("answered") + left


async def test_overload_is_refused_at_once_and_those_accepted_are_served_in_time() -> None:
    """Ten times what can be computed, for three seconds: fast 503s, a bounded wait, nothing left over."""
    batch_s, max_batch, queue_size = 0.02, 4, 16
    runtime = FakeRuntime()
    runtime.on_predict = lambda: time.sleep(batch_s)
    chosen = Settings(max_batch=max_batch, queue_size=queue_size)
    served: list[float] = []
    refused: list[float] = []

    async def call(service: Service) -> None:
        began = time.perf_counter()
        answer = await service.client.post(URL, params=NO_HEATMAP, content=PICTURES[200])
        took = time.perf_counter() - began
        if answer.status_code == 200:
            served.append(took)
        else:
            assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
            assert int(answer.headers["retry-after"]) >= 1
            refused.append(took)

    async with serving(runtime, settings=chosen) as service:
        calls = []
        end = time.perf_counter() + 3
        while time.perf_counter() < end:
            calls += [asyncio.create_task(call(service)) for _ in range(20)]
            await asyncio.sleep(0.01)
        await asyncio.gather(*calls)
        assert service.engine.snapshot().queue_depth == 0
    assert len(refused) > len(served) > 0
    assert max(len(b) for b in runtime.batches) == max_batch
    # What is ahead of an accepted image is bounded; the rest is this test's own crowd on one event loop.
    waves = (queue_size + max_batch) / max_batch + 2
    assert sorted(served)[len(served) // 2] < 20 * waves * batch_s
    assert sorted(refused)[len(refused) // 2] < sorted(served)[len(served) // 2]
