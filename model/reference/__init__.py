"""Figures others have published, as data with their source."""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def paper_tables() -> dict[str, Any]:
    """Return the tables of SSVP, arXiv 2601.09147v2, in percent unless noted."""
    tables: dict[str, Any] = json.loads(Path(__file__).with_name("paper_tables.json").read_text())
    return tables
