"""Every way to fail over HTTP: problem+json, `result_code` 2, the right status, nobody else hurt."""

import asyncio
import json
import logging
import threading

import httpx
import pytest

from app.settings import Settings
from tests.conftest import Service, serving, until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
PNG = encode(grey(10))


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """Check what all problem documents have in common."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    found: dict[str, object] = answer.json()
    assert (found["status"], found["code"], found["result_code"]) == (status, code, 2)
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["error_type"] in ("request", "unavailable", "internal")
    assert found["title"]
    assert found["detail"]
    assert "result" not in found
    return found


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "image_missing"),
        (b"{}", 400, "image_missing"),
        (b"just text", 400, "image_unrecognised"),
        (b'{"image"', 400, "body_unreadable"),
        (PNG[:60], 400, "image_corrupt"),
        (b"GIF89a" + b"\0" * 40, 415, "format_refused"),
    ],
    ids=["empty", "no members", "text", "half json", "truncated", "gif"],
)
async def test_bodies_without_a_picture(
    service: Service, body: bytes, status: int, code: str
) -> None:
    """Each has a code of its own."""
    assert_problem(await service.client.post(URL, content=body), status, code)


async def test_a_body_that_is_not_the_form_it_is_called(service: Service) -> None:
    """The header says what its caller meant to send, so the answer says what is wrong with that."""
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await service.client.post(URL, content=b"just text", headers=headers)
    assert_problem(answer, 400, "body_unreadable")


async def test_parameters(service: Service) -> None:
    """422, naming the parameter."""
    answer = await service.client.post(URL, params={"threshold": "2"}, content=PNG)
    assert "threshold" in str(assert_problem(answer, 422, "parameter_invalid")["detail"])


async def test_paths_and_methods_we_do_not_have(service: Service) -> None:
    """Problems too; `Allow` is kept."""
    assert_problem(await service.client.get("/v1/nothing"), 404, "not_found")
    assert_problem(await service.client.post(URL + "/", content=PNG), 404, "not_found")
    answer = await service.client.get(URL)
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_a_body_over_the_limit() -> None:
    """By its announced length, or as soon as too much has arrived."""

    async def chunks() -> object:
        for _ in range(1000):
            yield b"\x89PNG" * 250

    async with serving(settings=Settings(max_body_bytes=10_000)) as service:
        answer = await service.client.post(URL, content=b"x" * 10_001)
        assert_problem(answer, 413, "body_too_large")
        answer = await service.client.post(URL, content=chunks())  # type: ignore[arg-type]
        assert_problem(answer, 413, "body_too_large")


async def test_a_picture_over_the_limit() -> None:
    """By its header, before decoding."""
    async with serving(settings=Settings(max_pixels=1000 * 30)) as service:
        picture = encode(grey(10, width=1001, height=30))
        answer = await service.client.post(URL, content=picture)
        assert_problem(answer, 413, "image_too_large")


async def test_a_full_service_says_when_to_come_back() -> None:
    """503 with Retry-After, at once, while those accepted are served."""
    runtime = FakeRuntime()
    async with serving(runtime, settings=Settings(queue_size=1, max_batch=1)) as service:
        runtime.gate.clear()
        calls = [asyncio.create_task(service.client.post(URL, content=PNG))]
        await until(lambda: runtime.calls == 2)  # the golden image was the first
        calls.append(asyncio.create_task(service.client.post(URL, content=PNG)))
        await until(lambda: service.engine.snapshot().queue_depth == 1)
        answer = await service.client.post(URL, content=PNG)
        assert_problem(answer, 503, "queue_full")
        assert answer.headers["retry-after"] == "1"
        runtime.gate.set()
        assert [(await call).status_code for call in calls] == [200, 200]


async def test_starting() -> None:
    """503 with Retry-After until the golden image has passed."""
    runtime = FakeRuntime()
    warm = threading.Event()
    runtime.on_warm_up = lambda: warm.wait(10)
    async with serving(runtime, wait=False) as service:
        answer = await service.client.post(URL, content=PNG)
        assert_problem(answer, 503, "starting")
        assert answer.headers["retry-after"] == "5"
        assert (await service.client.get("/livez")).status_code == 200
        assert (await service.client.get("/readyz")).status_code == 503
        warm.set()


async def test_a_poison_image_fails_alone_and_tells_only_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its neighbours in the batch get their verdicts."""
    runtime = FakeRuntime(poison=["bad"])
    async with serving(runtime) as service:
        runtime.gate.clear()
        products = ["first", "good", "bad", "good"]
        calls = []
        for product in products:
            query = {"product": product}
            calls.append(asyncio.create_task(service.client.post(URL, params=query, content=PNG)))
        await until(lambda: service.engine.snapshot().inflight == 4)
        runtime.gate.set()
        answers = await asyncio.gather(*calls)
    found = assert_problem(answers[2], 500, "inference_failed")
    assert "poison" not in json.dumps(found)
    assert "poisoned by" in caplog.text
    assert [a.status_code for a in answers] == [200, 200, 500, 200]


async def test_a_prediction_that_is_no_number_is_never_ok(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """NaN compares false with every threshold; the answer is an error."""
    runtime = FakeRuntime()
    async with serving(runtime) as service:
        prepare = runtime.prepare
        monkeypatch.setattr(runtime, "prepare", lambda image: prepare(image) * float("nan"))
        answer = await service.client.post(URL, content=PNG)
    assert_problem(answer, 500, "prediction_invalid")
    assert "nan" in caplog.text


async def test_a_bug_is_a_problem_document_too(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw still carries result_code 2, and its text stays in the log."""

    def broken() -> object:
        raise KeyError("secret inner state")

    monkeypatch.setattr(service.engine, "admitted", broken)
    with caplog.at_level(logging.ERROR):
        answer = await service.client.post(URL, content=PNG)
    found = assert_problem(answer, 500, "internal")
    assert "secret" not in json.dumps(found)
