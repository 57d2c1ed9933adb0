"""Every PromQL expression of rules, dashboards and scalers, and the names it uses.

Knows names, not grammar: a few regular expressions find them, and Prometheus itself checks the syntax.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.deploy import rules
from tests.deploy.tools import ROOT

DASHBOARDS = sorted((ROOT / "docker/grafana/dashboards").glob("*.json"))
_WORDS = {
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "offset",
    "bool",
}
_GRAFANA = {
    "$__rate_interval": "1m",
    "$__interval": "15s",
    "$product": ".*",
    "$instance": ".*",
    "$takt_s": "0.5",
}


@dataclass(frozen=True)
class Expression:
    """One expression and where it stands."""

    where: str
    text: str

    @property
    def metrics(self) -> set[str]:
        """Return the names of the series it reads."""
        text = re.sub(r'"[^"]*"', '""', self.text)
        text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
        text = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", text)
        text = re.sub(r"\boffset\s+\w+", " ", text)
        names = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\b(?!\s*\()", text)
        return {name for name in names if name not in _WORDS}

    @property
    def matchers(self) -> list[tuple[str, str, str]]:
        """Return label, operator and value of each matcher."""
        return re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', self.text)


def of_rules() -> list[Expression]:
    """Return the expressions of alarms and recorded series."""
    return [
        Expression(f"rule {rule.get('alert', rule.get('record'))}", rule["expr"])
        for group in rules.groups()
        for rule in group["rules"]
    ]


def recorded() -> set[str]:
    """Return the names of the series that rules record."""
    return {
        rule["record"] for group in rules.groups() for rule in group["rules"] if "record" in rule
    }


def of_dashboards() -> list[Expression]:
    """Return the dashboards' expressions, with values in the place of Grafana's variables."""
    found = []
    for path in DASHBOARDS:
        board: dict[str, Any] = json.loads(path.read_text())
        for panel in board["panels"]:
            for target in panel["targets"]:
                text = target["expr"]
                for name, value in _GRAFANA.items():
                    text = text.replace(name, value)
                found.append(Expression(f"{path.stem}: {panel['title']}", text))
    return found
