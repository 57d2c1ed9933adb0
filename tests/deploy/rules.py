"""Prometheus' rules as its operator wants them: `python -m tests.deploy.rules` writes k8s' copy anew."""

from typing import Any

import yaml

from tests.deploy.tools import ROOT

RULES = ROOT / "docker/prometheus/rules.yml"
PROMETHEUS_RULE = ROOT / "k8s/components/monitoring/prometheusrule.yaml"
HEADER = "# Written by `python -m tests.deploy.rules` from docker/prometheus/rules.yml: change it there.\n"


def groups() -> list[dict[str, Any]]:
    """Return the rule groups."""
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return found


def prometheus_rule() -> str:
    """Return the PrometheusRule's text."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "ssvp-inspect"},
        "spec": {"groups": groups()},
    }
    return HEADER + yaml.safe_dump(resource, sort_keys=False, width=110, allow_unicode=True)


if __name__ == "__main__":
    PROMETHEUS_RULE.write_text(prometheus_rule())
