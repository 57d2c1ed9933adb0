"""Many callers at once: every answer is its caller's own, and what is too much is refused at once."""

import asyncio
import time
from collections import Counter

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.settings import Settings
from tests.conftest import Service, serving, until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
PICTURES = [encode(grey(level, 8, 8)) for level in range(256)]
NO_HEATMAP = {"heatmap": "none"}


@settings(max_examples=25)
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


@pytest.mark.parametrize("times", [2, 10])
async def test_overload_is_refused_at_once_and_what_was_accepted_is_served(times: int) -> None:
    """What is too much has its 503 before anything is computed; the rest is computed in full batches."""
    max_batch, queue_size = 4, 16
    runtime = FakeRuntime()
    chosen = Settings(max_batch=max_batch, queue_size=queue_size)
    async with serving(runtime, settings=chosen) as service:
        runtime.gate.clear()
        before = runtime.calls

        def call() -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(
                service.client.post(URL, params=NO_HEATMAP, content=PICTURES[200])
            )

        first = call()
        await until(lambda: runtime.calls > before)  # from here on whatever comes has to wait
        rest = [call() for _ in range(times * queue_size)]
        await until(lambda: sum(c.done() for c in rest) == len(rest) - queue_size)
        assert service.engine.snapshot().queue_depth == queue_size
        for refused in [c.result() for c in rest if c.done()]:
            assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
            assert int(refused.headers["retry-after"]) >= 1
        runtime.gate.set()
        statuses = [answer.status_code for answer in await asyncio.gather(first, *rest)]
        assert statuses.count(200) == 1 + queue_size
        assert [len(batch) for batch in runtime.batches[-4:]] == [max_batch] * 4
        assert service.engine.snapshot().queue_depth == 0
        assert (await call()).status_code == 200
