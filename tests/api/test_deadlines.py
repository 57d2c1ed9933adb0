"""Deadlines: from arrival to the written answer; what would be later is 504."""

import threading

import pytest

from app.api.routes import detect
from tests.conftest import Service, serving
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
PNG = encode(grey(200))


async def test_a_deadline_that_cannot_be_met() -> None:
    """504 from the worker's queue; the request that has time gets its verdict."""
    runtime = FakeRuntime()
    async with serving(runtime) as service:
        runtime.gate.clear()
        late = await service.client.post(URL, params={"deadline_ms": 50}, content=PNG)
        assert (late.status_code, late.json()["code"]) == (504, "deadline_passed")
        assert late.json()["result_code"] == 2
        runtime.gate.set()
        fine = await service.client.post(URL, params={"deadline_ms": 5000}, content=PNG)
        assert fine.status_code == 200
        text = (await service.client.get("/metrics")).text
        assert "ssvp_deadline_missed_total 1.0" in text


@pytest.mark.parametrize("deadline_ms", ["0", "-5", "1.5", "3600001", "soon"])
async def test_a_deadline_that_is_none(service: Service, deadline_ms: str) -> None:
    """Whole milliseconds, from 1 to an hour."""
    answer = await service.client.post(URL, params={"deadline_ms": deadline_ms}, content=PNG)
    assert answer.status_code == 422


async def test_an_answer_that_takes_too_long_to_write_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deadline ends at the answer, not at the verdict."""
    async with serving() as service:
        monkeypatch.setattr(detect, "_response", lambda *_: threading.Event().wait(0.5))
        answer = await service.client.post(URL, params={"deadline_ms": "400"}, content=PNG)
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")
