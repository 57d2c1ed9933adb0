"""Figures others have published, as data with their source, by the names our reports use."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

SET_NAMES: Mapping[str | None, str] = {
    "mvtec": "MVTec-AD",
    "visa": "VisA",
    "btad": "BTAD",
    "ksdd2": "KSDD2",
    "ksdd2-crops": "KSDD2",
    "rsdd": "RSDD",
    "rsdd-crops": "RSDD",
    "dagm": "DAGM",
    "dagm-balanced": "DAGM",
    "dtd": "DTD-Synthetic",
}
OTHERS = ("WinCLIP", "APRIL-GAN", "AnomalyCLIP", "AdaCLIP", "Bayes-PFL")
IMAGE = {"auroc": "image_auroc", "f1_max": "image_f1_max", "ap": "image_ap"}
PIXEL = {"auroc": "pixel_auroc", "pro": "pro", "ap": "pixel_ap"}


@cache
def paper_tables() -> dict[str, Any]:
    """Return the tables of SSVP, arXiv 2601.09147v2, as printed: in percent unless noted."""
    tables: dict[str, Any] = json.loads(Path(__file__).with_name("paper_tables.json").read_text())
    return tables


def paper_figures(dataset: str | None, method: str) -> dict[str, float]:
    """Return table 1's row of a method on a data set, in [0, 1]; empty where there is none."""
    found: dict[str, float] = {}
    for kind, names in (("image", IMAGE), ("pixel", PIXEL)):
        row = paper_tables()["table1"][kind].get(SET_NAMES.get(dataset), {}).get(method, {})
        found |= {names[k]: _share(v) for k, v in row.items() if k in names and v is not None}
    return found


def best_of_others(dataset: str | None) -> dict[str, float]:
    """Return the best figure any other method of table 1 has, measure by measure, in [0, 1]."""
    rows = [paper_figures(dataset, method) for method in OTHERS]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: max(row[name] for row in rows if name in row) for name in names}


def paper_warnings(dataset: str | None) -> list[str]:
    """Return what is doubtful about the paper's figures on a data set, one sentence each."""
    name = SET_NAMES.get(dataset)
    return [w for w in paper_tables()["warnings"] if name is not None and name in w]


def paper_figures_of_class(dataset: str | None, category: str) -> dict[str, float] | None:
    """Return table 2's row of SSVP for a class of MVTec-AD, in [0, 1]; None for any other."""
    if dataset != "mvtec":
        return None
    row = paper_tables()["table2"].get(spoken_class(category), {}).get("SSVP")
    return None if row is None else {k: _share(v) for k, v in row.items()}


def _share(percent: float) -> float:
    return round(percent / 100.0, 6)  # .933 for 93.3, not .9329999999999999


def spoken_class(category: str) -> str:
    """Write a folder's name as table 2 does, `Metal Nut`."""
    return category.replace("_", " ").title()
