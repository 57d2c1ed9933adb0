"""What the paper reports for a row of a table. Knows the numbers' file; knows no run."""

from typing import Any

from model.reference import paper_figures, paper_figures_of_class, paper_tables

METHODS = {"SSVP": "SSVP", "static prompts": "WinCLIP"}
MODULE_COLUMNS = {"image_auroc": 3, "pixel_auroc": 5}


def paper_value(
    table: str, label: str, dataset: str, category: str | None, metric: str
) -> float | None:
    """Return the paper's figure in its own unit, percent but for table 4; None where it has none."""
    method = METHODS.get(label)
    if table == "1":
        found = {} if method is None else paper_figures(dataset, method)
        return _percent(found.get(metric))
    if table == "2":
        by_class = paper_figures_of_class(dataset, category or "") if label == "SSVP" else None
        return None if by_class is None else _percent(by_class.get(metric))
    tables = paper_tables()
    if dataset != "mvtec":
        return None
    if table == "3":
        row = tables["table3"]["rows"].get(label)
        return None if row is None else float(row[MODULE_COLUMNS[metric]])
    if table == "4":
        return _at(tables, "table4", metric, label)
    return _at(tables, f"table{table}", label, metric)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100.0 * value, 4)


def _at(values: Any, *path: str | None) -> float | None:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return float(values)
