"""Alarms ring when they must, and rules, dashboards and scalers read only what the service exports."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from app import errors
from tests.conftest import Service
from tests.deploy import rules
from tests.deploy.expressions import (
    DASHBOARDS,
    Expression,
    of_dashboards,
    of_rules,
    recorded,
)
from tests.deploy.manifests import of_kind
from tests.deploy.tools import ROOT, promtool, run

PROMETHEUS = ROOT / "docker/prometheus"
# Prometheus' own series.
BUILT_IN = {"up", "ALERTS"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}

pytestmark = pytest.mark.anyio


def _of_scaler() -> list[Expression]:
    (scaler,) = of_kind(ROOT / "k8s/overlays/autoscale", "ScaledObject")
    return [Expression("scaler", t["metadata"]["query"]) for t in scaler["spec"]["triggers"]]


ALL = [*of_rules(), *of_dashboards(), *_of_scaler()]


async def _families(service: Service) -> list[Any]:
    text = (await service.client.get("/metrics")).text
    return [f for f in text_string_to_metric_families(text) if not f.name.endswith("_created")]


def test_alarms_ring_and_stay_silent_as_their_cases_say() -> None:
    """`promtool test rules` on every case."""
    done = run(promtool(), "test", "rules", PROMETHEUS / "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alarm_has_cases_for_and_against() -> None:
    """In the same file: one that expects it, and one that expects it not, for itself or for other series."""
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    alarms = {
        rule["alert"] for group in rules.groups() for rule in group["rules"] if "alert" in rule
    }
    rings: set[str] = set()
    silent: set[str] = set()
    for case in tests:
        sources = {_source(item["series"]) for item in case["input_series"]}
        for check in case["alert_rule_test"]:
            expected = check["exp_alerts"]
            (rings if expected else silent).add(check["alertname"])
            if expected and len(sources) > len(expected):
                silent.add(check["alertname"])
    assert rings == alarms
    assert silent == alarms


def _source(series: str) -> tuple[str, ...]:
    return tuple(re.findall(r'(?:job|instance|product)="([^"]*)"', series))


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    """And with it the rules."""
    done = run(promtool(), "check", "config", PROMETHEUS / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    """Those of dashboards and scalers too."""
    wrapped = [{"record": f"x{i}", "expr": e.text} for i, e in enumerate(ALL)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": wrapped}]}))
    done = run(promtool(), "check", "rules", "--lint=none", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_has_the_same_rules() -> None:
    """`python -m tests.deploy.rules` makes it so."""
    assert rules.PROMETHEUS_RULE.read_text() == rules.prometheus_rule()


async def test_expressions_read_only_what_is_exported(service: Service) -> None:
    """A metric that was renamed shows here, not as an empty panel."""
    families = await _families(service)
    exported = {f.name + suffix for f in families for suffix in SUFFIXES[f.type]}
    known = exported | recorded() | BUILT_IN
    for expression in ALL:
        assert expression.metrics or expression.text.startswith("vector("), expression.where
        assert expression.metrics <= known, expression.where


async def test_every_metric_of_the_service_is_looked_at(service: Service) -> None:
    """On a dashboard or by a rule; what nobody looks at need not be exported."""
    read = set().union(*(expression.metrics for expression in ALL))
    for family in await _families(service):
        if family.name.startswith("ssvp_"):
            assert any(family.name + suffix in read for suffix in SUFFIXES[family.type]), (
                family.name
            )


def test_outcomes_that_are_named_can_happen() -> None:
    """Each alternative of `outcome=~"..."` and `reason=~"..."` meets a code of the service."""
    codes = {"outcome": {"ok", "ng", "internal"}}
    codes["outcome"] |= {kind.code for kind in errors.ServiceError.leaves()}
    codes["reason"] = {kind.code for kind in errors.UnavailableError.leaves()}
    for expression in ALL:
        for label, _, value in expression.matchers:
            for alternative in value.split("|") if label in codes else []:
                assert any(re.fullmatch(alternative, code) for code in codes[label]), alternative


async def test_takts_to_choose_from_are_bounds_of_the_histogram(service: Service) -> None:
    """A share within the takt can be counted only up to a bucket's bound."""
    (family,) = [f for f in await _families(service) if f.name == "ssvp_request_duration_seconds"]
    bounds = {sample.labels["le"] for sample in family.samples if "le" in sample.labels}
    board = json.loads((ROOT / "docker/grafana/dashboards/line.json").read_text())
    (takt,) = [v for v in board["templating"]["list"] if v["name"] == "takt_s"]
    assert set(takt["query"].split(",")) <= bounds


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_is_whole(path: Path) -> None:
    """Panels have ids of their own, do not overlap, and ask the source that is provisioned."""
    board = json.loads(path.read_text())
    source = yaml.safe_load(
        (ROOT / "docker/grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"][0]["uid"]
    assert set(re.findall(r'"type": "prometheus",\s+"uid": "([^"]*)"', path.read_text())) == {
        source
    }
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == source
        grid = panel["gridPos"]
        own = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not own & cells
        assert max(x for x, _ in own) < 24
        cells |= own


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_knows_every_field(path: Path) -> None:
    """Read as Grafana's own types and written again nothing is lost, as a misspelt field would be."""
    plugins.register_default_plugins()
    board = json.loads(path.read_text())
    written = json.loads(encoder.JSONEncoder().encode(Dashboard.from_json(board)))
    assert _lost(board, written) == []


def _lost(sent: Any, kept: Any, where: str = "") -> list[str]:
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [x for k, v in sent.items() for x in _lost(v, kept.get(k), f"{where}.{k}")]
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        pairs = enumerate(zip(sent, kept, strict=True))
        return [x for i, (v, w) in pairs for x in _lost(v, w, f"{where}[{i}]")]
    return [] if sent == kept else [where]


def test_dashboards_are_where_grafana_looks() -> None:
    """The provisioned folder is the mounted one."""
    provider = yaml.safe_load(
        (ROOT / "docker/grafana/provisioning/dashboards/files.yml").read_text()
    )
    folder = provider["providers"][0]["options"]["path"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert f"./docker/grafana/dashboards:{folder}:ro" in compose["services"]["grafana"]["volumes"]
