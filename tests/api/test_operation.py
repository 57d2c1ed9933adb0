"""Probes, metrics and the log, as an operator meets them."""

import json
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.logs import JsonFormatter, TextFormatter
from app.metrics import Metrics
from app.records import RequestRecord
from app.settings import Settings
from tests.conftest import Service, serving
from tests.fakes import GOLDEN, FakeRuntime, encode, grey
from tests.products import GOOD, NUT, scores

pytestmark = pytest.mark.anyio

URL = "/v1/detect"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v2/health/live", "/v2/health/ready"])
async def test_probes_of_a_ready_service(service: Service, path: str) -> None:
    """200 and nothing to explain."""
    answer = await service.client.get(path)
    assert answer.status_code == 200
    assert answer.json()["reason"] == ""


async def test_probes_of_an_unfit_service() -> None:
    """Alive, not ready, and it says why."""
    async with serving(FakeRuntime(replace(GOLDEN, score=0.9))) as service:
        assert (await service.client.get("/livez")).status_code == 200
        answer = await service.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["status"] == "not_ready"
        assert "golden image scored" in answer.json()["reason"]
        refused = await service.client.post(URL, content=encode(grey(1)))
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")


async def _samples(service: Service) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = await service.client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_metrics_count_what_happened(service: Service) -> None:
    """Outcomes, verdicts, stages and the golden score; probes are not counted as requests."""
    await service.client.post(URL, params={"part_id": "A-17"}, content=encode(grey(250)))
    await service.client.post(URL, content=encode(grey(5)))
    await service.client.post(URL, content=b"nothing")
    await service.client.get("/livez")
    await service.client.get("/v1/nothing")
    found = await _samples(service)
    assert found["ssvp_requests_total", (("outcome", "ng"),)] == 1
    assert found["ssvp_requests_total", (("outcome", "ok"),)] == 1
    assert found["ssvp_requests_total", (("outcome", "image_unrecognised"),)] == 1
    assert found["ssvp_verdicts_total", (("product", "other"), ("result", "NG"))] == 1
    assert found["ssvp_score_count", (("product", "other"),)] == 2
    assert found["ssvp_request_duration_seconds_count", ()] == 2  # those that were inspected
    for stage in ("decode", "queue", "inference", "render"):
        assert found["ssvp_stage_duration_seconds_count", (("stage", stage),)] == 2
    assert found["ssvp_batch_size_count", ()] == 3  # the golden image was one
    assert found["ssvp_ready", ()] == 1
    assert found["ssvp_queue_limit", ()] == 64
    assert found["ssvp_inflight", ()] == 0
    assert abs(found["ssvp_golden_score", ()] - 0.4) < 1e-3
    assert found["ssvp_model_info", (("name", "fake"), ("version", "1.2.3"))] == 1
    assert not any("A-17" in str(key) for key in found)
    assert sum(v for (name, _), v in found.items() if name == "ssvp_requests_total") == 3


async def test_refusals_are_counted_by_reason() -> None:
    """What an alarm watches."""
    async with serving(FakeRuntime(replace(GOLDEN, score=0.9))) as service:
        await service.client.post(URL, content=encode(grey(1)))
        found = await _samples(service)
    assert found["ssvp_rejected_total", (("reason", "not_ready"),)] == 1
    assert found["ssvp_ready", ()] == 0


async def test_one_log_line_a_request(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """With id, outcome, score and times; callers' text cannot forge a second line, in either style."""
    query = {"part_id": "A\n17"}
    trace = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    headers = {"X-Request-ID": "abc", "traceparent": trace}
    with caplog.at_level(logging.INFO):
        answer = await service.client.post(
            URL, content=encode(grey(250)), headers=headers, params=query
        )
        await service.client.get("/readyz")
        await service.client.get("/x%0Afake")
    assert answer.headers["traceparent"] == trace
    first, second = [r for r in caplog.records if r.name == "app.records"]
    line = JsonFormatter().format(first)
    found = json.loads(line)
    assert (found["request_id"], found["status"], found["outcome"]) == ("abc", 200, "ng")
    assert (found["part_id"], found["trace_id"]) == ("A\n17", "ab" * 16)
    assert found["score"] == pytest.approx(250 / 255, abs=1e-3)
    assert {"decode_ms", "queue_ms", "inference_ms", "render_ms", "total_ms"} <= set(found)
    assert "\n" not in line
    text = TextFormatter("%(message)s").format(second)
    assert "status=404" in text
    assert "path='/x\\nfake'" in text
    assert "\n" not in text


async def test_the_log_says_why(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Small answers name the kind of error only: the rest, and the part, are in the log."""
    caplog.set_level(logging.INFO, "app.records")
    wrong = {"profile": "line", "sequence": "17", "treshold": "0.4\n"}
    await service.client.post(URL, params=wrong, content=encode(grey(1)))
    service.engine.drain()
    await service.client.post(URL, params={"profile": "plc", "part_id": "A-17", "sequence": "18"})
    refused, draining = _requests(caplog)
    assert (refused["outcome"], refused["sequence"]) == ("parameter_invalid", 17)
    assert refused["detail"].startswith("unknown: 'treshold'; known: product, ")
    assert draining["outcome"] == "draining"
    assert (draining["part_id"], draining["sequence"]) == ("A-17", 18)
    assert draining["detail"]


async def test_the_log_names_the_file_that_is_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As it was sent: a PLC's text may end in blanks, or have the other kind of slash."""
    caplog.set_level(logging.INFO, "app.records")
    async with serving(settings=Settings(image_roots=(tmp_path,))) as service:
        await service.client.post(URL, params={"image_path": "line3\\17.png ", "profile": "line"})
    (line,) = _requests(caplog)
    assert line["detail"].startswith(r"there is no image at 'line3\\17.png ' below")


async def test_the_log_says_what_was_decided_on(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """A score without its threshold explains no verdict; of a batch's images each is explained."""
    caplog.set_level(logging.INFO, "app.records")
    await service.client.post(URL, params={"threshold": "0.25"}, content=encode(grey(1)))
    images = [("image", encode(grey(1))), ("image", b"no picture")]
    await service.client.post(f"{URL}/batch", files=images)
    one, batch = _requests(caplog)
    assert one["threshold"] == 0.25
    assert batch["outcomes"] == ["ok", "image_unrecognised"]
    assert batch["details"][0] == ""
    assert batch["details"][1].startswith("the first bytes are those of no image format")


async def test_the_log_says_who_changed_a_threshold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the key's name and the answer's id; looking at thresholds is written at DEBUG only."""
    caplog.set_level(logging.INFO, "app.records")
    async with _with_key(tmp_path, products_file=tmp_path / "products.json") as service:
        await service.client.get("/v1/products")
        calibrated = await service.client.post(f"{NUT}/calibrate", json=scores(GOOD))
        await service.client.post(f"{NUT}/rollback", json={"version": 0})
    first, second = _requests(caplog)
    assert (first["path"], first["key"]) == ("/v1/products/Metal Nut/calibrate", "line3")
    assert first["request_id"] == calibrated.headers["x-request-id"]
    assert (second["path"], second["key"]) == ("/v1/products/Metal Nut/rollback", "line3")


async def test_the_log_says_who_is_over_its_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the key's name, like all lines of requests with a key."""
    caplog.set_level(logging.INFO, "app.records")
    async with _with_key(tmp_path, key_rate_per_s=0.001) as service:
        for _ in range(2):
            await service.client.post(URL, content=encode(grey(1)))
    found = [(line["status"], line["key"]) for line in _requests(caplog)]
    assert found == [(200, "line3"), (429, "line3")]


@asynccontextmanager
async def _with_key(folder: Path, **settings: Any) -> AsyncIterator[Service]:
    """Run a service that asks for keys, with a client that has one."""
    keys = folder / "keys"
    keys.write_text("line3:a-key-of-the-third-line\n")
    async with serving(settings=Settings(api_keys_file=keys, **settings)) as service:
        service.client.headers["X-API-Key"] = "a-key-of-the-third-line"
        yield service


def _requests(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the fields of each request's line."""
    return [vars(record)["fields"] for record in caplog.records if record.name == "app.records"]


@pytest.mark.parametrize(
    "sent", ["", "00-zz", "01-" + "a" * 32 + "-" + "b" * 16 + "-01", "x" * 500]
)
async def test_a_trace_that_is_none_is_dropped(service: Service, sent: str) -> None:
    """Nothing of it comes back."""
    answer = await service.client.get("/livez", headers={"traceparent": sent})
    assert "traceparent" not in answer.headers


async def test_counts_begin_at_zero(service: Service) -> None:
    """The first refusal after a start is an increase for Prometheus, not a series that begins."""
    text = (await service.client.get("/metrics")).text
    for series in (
        'ssvp_requests_total{outcome="client_gone"} 0.0',
        'ssvp_requests_total{outcome="http_malformed"} 0.0',
        'ssvp_requests_total{outcome="headers_timeout"} 0.0',
        'ssvp_requests_total{outcome="headers_too_large"} 0.0',
        'ssvp_requests_total{outcome="ng"} 0.0',
        'ssvp_rejected_total{reason="queue_full"} 0.0',
        'ssvp_verdicts_total{product="other",result="NG"} 0.0',
    ):
        assert series in text


async def test_metrics_are_written_beside_the_event_loop(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred products take a fifth of a second, in which no request would move."""
    threads = []
    write = Metrics.exposition

    def watched(metrics: Metrics, *given: Any) -> bytes:
        threads.append(threading.get_ident())
        return write(metrics, *given)

    monkeypatch.setattr(Metrics, "exposition", watched)
    assert (await service.client.get("/metrics")).status_code == 200
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_batch_given_up_is_no_bug() -> None:
    """A caller who leaves counts as one who left, image by image, not as internal errors."""
    record = RequestRecord("id", "POST", "/v1/detect/batch", inspects=True)
    for _ in range(5):
        record.part()
    record.status, record.code = 499, "client_gone"
    record.settle()
    async with serving() as service:
        metrics = Metrics()
        metrics.observe_request(record)
        text = metrics.exposition(service.engine.snapshot(), {}).decode()
    assert 'ssvp_requests_total{outcome="client_gone"} 5.0' in text
    assert 'ssvp_requests_total{outcome="internal"} 0.0' in text
