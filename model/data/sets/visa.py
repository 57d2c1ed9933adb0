"""VisA: images and masks anywhere below the root, listed by `split_csv/1cls.csv`."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from model.data.row import TEST, TRAIN, UNNAMED_DEFECT, DataLayoutError, ManifestRow, spoken
from model.data.sets.folders import open_root
from model.data.sets.layout import Counts, DatasetLayout, Reference
from model.data.sets.mvtec_layout import Words, follows_layout, list_layout

_NAME = "visa"
_CSV = "split_csv/1cls.csv"
_COLUMNS = ("object", "split", "label", "image", "mask")
_LABELS: Mapping[str, bool] = MappingProxyType({"normal": False, "anomaly": True})
_SPOKEN: Mapping[str, str] = MappingProxyType(
    {
        "chewinggum": "chewing gum",
        "macaroni1": "macaroni",
        "macaroni2": "macaroni",
        **{f"pcb{i}": "printed circuit board" for i in (1, 2, 3, 4)},
    }
)


def prepare(root: Path) -> list[ManifestRow]:
    """List the images of the one-class split; the authors' conversion to MVTec-AD's layout is taken too.

    Raises:
        DataLayoutError: there is no table, it is not as expected, or one of its files is missing.
    """
    root = open_root(root, _CSV)
    table = root / _CSV
    if not table.is_file() and follows_layout(root):
        defects = {"bad": UNNAMED_DEFECT}
        return list_layout(root, Words(_NAME, defects=defects, product=_product_of))
    return list(_list_table(table, root))


def _list_table(table: Path, root: Path) -> Iterator[ManifestRow]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except OSError:
        raise DataLayoutError(
            f"there is no file {table}; expected VisA's one-class split"
        ) from None
    if not lines or not set(_COLUMNS) <= lines[0].keys():
        raise DataLayoutError(f"{table} has no rows with the columns {', '.join(_COLUMNS)}")
    for number, line in enumerate(lines, start=2):
        yield _row(line, root, f"{table}, line {number}")


def _row(line: Mapping[str, str | None], root: Path, where: str) -> ManifestRow:
    category, split, label, image, mask = ((line[name] or "").strip() for name in _COLUMNS)
    if split not in (TRAIN, TEST) or label not in _LABELS:
        raise DataLayoutError(
            f"{where}: split {split!r}, label {label!r}; expected train or test,"
            f" {' or '.join(_LABELS)}"
        )
    anomalous = _LABELS[label]
    return ManifestRow(
        image=_existing(root / image, where),
        mask=_existing(root / mask, where) if anomalous else None,
        anomalous=anomalous,
        category=category,
        product=_SPOKEN.get(category, spoken(category)),
        defect=UNNAMED_DEFECT if anomalous else None,
        split=split,
        dataset=_NAME,
    )


def _existing(path: Path, where: str) -> Path:
    if not path.is_file():
        raise DataLayoutError(f"{where}: there is no file {path}")
    return path


def _product_of(category: Path) -> str:
    return _SPOKEN.get(category.name, spoken(category.name))


LAYOUT = DatasetLayout(
    name=_NAME,
    prepare=prepare,
    references=(Reference(_NAME, "official one-class test split", Counts(962, 1200)),),
)
