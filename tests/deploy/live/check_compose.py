"""`docker compose up` with Prometheus, some load, and every expression asked. Run by `make deploy-test`."""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.deploy import rules
from tests.deploy.expressions import Expression, of_dashboards, of_rules, recorded
from tests.deploy.live.callers import PICTURES, calling
from tests.deploy.live.conftest import Report
from tests.deploy.live.containers import docker
from tests.deploy.tools import ROOT

PORTS = {"PORT": "18100", "PROMETHEUS_PORT": "18101", "GRAFANA_PORT": "18102"}
SERVICE, PROMETHEUS, GRAFANA = (f"http://127.0.0.1:{port}" for port in PORTS.values())
PROJECT = ["compose", "--project-name=ssvp-check"]
# Rightly without data here: there is no GPU, and nothing rings.
EMPTY = {"operator: GPU memory", "operator: Alarms that ring"}
# Of a GPU, and of products that were calibrated: none is here.
ABSENT = {
    "ssvp_device_memory_bytes",
    "ssvp_score_psi",
    "ssvp_score_psi_limit",
    "ssvp_profile_stale",
}
SCRAPES_S = 75  # rates over a minute want a minute
AT_ONCE = 150  # more than wait and are computed: SSVP_QUEUE_SIZE + SSVP_MAX_BATCH


@pytest.fixture(scope="module")
def grafana() -> bool:
    """Whether Grafana's image can be had."""
    done = subprocess.run(
        ["docker", *PROJECT, "pull", "--quiet", "grafana"], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture(scope="module", autouse=True)
def stack(grafana: bool) -> Iterator[None]:
    """The stack, up and healthy, after a short load."""
    os.environ.update(PORTS)
    services = ["inspect", "prometheus", *(["grafana"] if grafana else [])]
    try:
        docker(*PROJECT, "up", "--detach", "--no-build", "--wait", *services)
        _load()
        yield
    finally:
        docker(*PROJECT, "down", "--volumes")


def _load() -> None:
    end = time.monotonic() + SCRAPES_S
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert "queue_full" in set(pool.map(_code, range(2 * AT_ONCE)))
    with calling(SERVICE), httpx.Client(base_url=SERVICE, timeout=30) as client:
        while time.monotonic() < end:
            client.post("/v1/detect", content=b"no picture")
            client.post("/v1/detect", params={"deadline_ms": 1}, content=PICTURES["OK"])
            time.sleep(0.5)


def _code(_: int) -> str:
    query = {"profile": "plc"}
    answer = httpx.post(f"{SERVICE}/v1/detect", params=query, content=PICTURES["OK"], timeout=60)
    return str(answer.json()["code"])


def _query(text: str) -> list[Any]:
    answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": text}, timeout=10)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]["result"]
    return found


def test_prometheus_scrapes_the_service() -> None:
    """The one target it has found by name answers."""
    targets = httpx.get(f"{PROMETHEUS}/api/v1/targets").json()["data"]["activeTargets"]
    assert [target["health"] for target in targets] == ["up"]


def test_rules_are_evaluated_without_error() -> None:
    """Prometheus has loaded them all and none fails."""
    groups = httpx.get(f"{PROMETHEUS}/api/v1/rules").json()["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert len(loaded) == sum(len(group["rules"]) for group in rules.groups())
    assert {rule["health"] for rule in loaded} == {"ok"}


@pytest.mark.parametrize("expression", of_dashboards(), ids=lambda e: e.where)
def test_panels_have_data(expression: Expression) -> None:
    """Each expression of both dashboards, as Grafana would send it."""
    assert bool(_query(expression.text)) is (expression.where not in EMPTY)


@pytest.mark.parametrize("expression", of_rules(), ids=lambda e: e.where)
def test_rules_have_data_to_look_at(expression: Expression) -> None:
    """Each series that an alarm reads exists, though the alarm does not ring."""
    for metric in expression.metrics - ABSENT:
        assert _query(metric), metric


def test_recorded_series_are_there(report: Report) -> None:
    """Prometheus writes them; the load's figures go into the report."""
    for name in recorded():
        assert _query(name)
    (rate,) = _query("sum(rate(ssvp_verdicts_total[1m]))")
    (p95,) = _query(
        "histogram_quantile(0.95, sum by (le) (rate(ssvp_request_duration_seconds_bucket[1m])))"
    )
    report(
        f"compose: {float(rate['value'][1]):.1f} verdicts/s, 95 % within {float(p95['value'][1]):.2f} s"
    )


def test_only_what_was_provoked_rings() -> None:
    """Broken pictures, impossible deadlines and too much at once were sent on purpose."""
    alerts = httpx.get(f"{PROMETHEUS}/api/v1/alerts").json()["data"]["alerts"]
    expected = {"SsvpDeadlinesMissed", "SsvpBadImages", "SsvpRefused", "SsvpNoVerdicts"}
    assert {alert["labels"]["alertname"] for alert in alerts} <= expected


def test_grafana_shows_both_dashboards(grafana: bool, report: Report) -> None:
    """Without a login, from the provisioned files."""
    if not grafana:
        report("grafana: not run, its image cannot be had")
        return
    found = httpx.get(f"{GRAFANA}/api/search", params={"tag": "ssvp"}).json()
    assert {board["uid"] for board in found} == {"ssvp-line", "ssvp-operator"}
    assert (ROOT / "docker/grafana/dashboards/line.json").exists()
