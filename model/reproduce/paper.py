"""What the paper reports for a row of a table. Knows the numbers' file; knows no run."""

from typing import Any

from model.reference import paper_tables

SET_NAMES = {
    "mvtec": "MVTec-AD",
    "visa": "VisA",
    "btad": "BTAD",
    "ksdd2": "KSDD2",
    "rsdd": "RSDD",
    "dagm": "DAGM",
    "dtd": "DTD-Synthetic",
}
METHODS = {"SSVP": "SSVP", "static prompts": "WinCLIP"}
MEASURES = {
    "image_auroc": ("image", "auroc"),
    "image_f1_max": ("image", "f1_max"),
    "image_ap": ("image", "ap"),
    "pixel_auroc": ("pixel", "auroc"),
    "pixel_ap": ("pixel", "ap"),
    "pro": ("pixel", "pro"),
}
MODULE_COLUMNS = {"image_auroc": 3, "pixel_auroc": 5}


def paper_value(
    table: str, label: str, dataset: str, category: str | None, metric: str
) -> float | None:
    """Return the paper's figure in its own unit, percent but for table 4; None where it has none."""
    tables = paper_tables()
    if table == "1":
        kind, measure = MEASURES[metric]
        return _at(tables, "table1", kind, SET_NAMES.get(dataset), METHODS.get(label), measure)
    if table == "2":
        name = (category or "").replace("_", " ").title()
        return _at(tables, "table2", name, METHODS.get(label), metric)
    if dataset != "mvtec":
        return None
    if table == "3":
        row = tables["table3"]["rows"].get(label)
        return None if row is None else float(row[MODULE_COLUMNS[metric]])
    if table == "4":
        return _at(tables, "table4", metric, label)
    return _at(tables, f"table{table}", label, metric)


def _at(values: Any, *path: str | None) -> float | None:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return float(values)
