"""Figures that the checks of `make deploy-test` measure, kept in one file."""

from collections.abc import Callable

import pytest

from tests.deploy.tools import ROOT

Report = Callable[[str], None]


@pytest.fixture
def report() -> Report:
    """Keep one line of figures."""
    path = ROOT / "build/deploy-test/report.txt"
    path.parent.mkdir(parents=True, exist_ok=True)

    def add(line: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    return add
