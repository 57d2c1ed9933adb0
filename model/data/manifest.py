"""Manifests: which images there are, with their truth, one JSON object a line.

Paths in the file are relative to its folder, so both can move together. Knows the file format; knows data
sets' own layouts only as far as `open_data` has to.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.data.row import TEST, UNNAMED_DEFECT, DataLayoutError, ManifestRow
from model.data.sets import mvtec

SUFFIX = ".jsonl"


class _Line(BaseModel):
    """One line as it is written; other keys are somebody's own."""

    model_config = ConfigDict(strict=True)

    image: str = Field(min_length=1)
    mask: str | None
    label: Literal[0, 1]
    category: str = Field(min_length=1)
    product: str = Field(min_length=1)
    defect: str | None
    split: Literal["train", "test"]
    dataset: str


def write_manifest_rows(rows: Sequence[ManifestRow], path: Path) -> None:
    """Write a manifest, making its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent.resolve()
    path.write_text("".join(_to_line(row, folder) for row in rows), encoding="utf-8")


def read_manifest(path: Path) -> list[ManifestRow]:
    """Read a manifest's rows, of every split, in the order of the file.

    Raises:
        DataLayoutError: there is no such file, it has no rows, or a line is not as it should be or names a
            file that does not exist; the message holds the line's number.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataLayoutError(f"{path} is no manifest that can be read: {error}") from None
    folder = path.parent.resolve()
    rows = [
        _to_row(line, folder, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not rows:
        raise DataLayoutError(f"{path} has no rows")
    return rows


def open_data(path: Path) -> list[ManifestRow]:
    """Return the test rows of a manifest, or of a folder in MVTec-AD's layout.

    Args:
        path: a `.jsonl` file, or a folder that holds `<category>/test/good` and so on.

    Raises:
        DataLayoutError: it is neither, or there is no test row.
    """
    rows = read_manifest(path) if path.suffix == SUFFIX else mvtec.prepare(path)
    found = [row for row in rows if row.split == TEST]
    if not found:
        raise DataLayoutError(f"{path} has no images of split {TEST}")
    return found


def rows_digest(rows: Sequence[ManifestRow]) -> str:
    """Return the SHA-256 over what the rows say and how many bytes their files have; folders may move."""
    facts = [
        [r.dataset, r.split, r.category, r.product, r.defect, r.anomalous]
        + [(f.name, f.stat().st_size) for f in (r.image, r.mask) if f is not None]
        for r in rows
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _to_line(row: ManifestRow, folder: Path) -> str:
    line = _Line(
        image=_relative(row.image, folder),
        mask=None if row.mask is None else _relative(row.mask, folder),
        label=1 if row.anomalous else 0,
        category=row.category,
        product=row.product,
        defect=row.defect,
        split="test" if row.split == TEST else "train",
        dataset=row.dataset,
    )
    return json.dumps(line.model_dump()) + "\n"


def _to_row(text: str, folder: Path, where: str) -> ManifestRow:
    try:
        line = _Line.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "the line"
        raise DataLayoutError(f"{where}: {name}: {first['msg']}") from None
    if line.label == 0 and (line.mask is not None or line.defect is not None):
        raise DataLayoutError(f"{where}: label is 0, but there is a mask or a defect")
    return ManifestRow(
        image=_existing(line.image, folder, where),
        mask=None if line.mask is None else _existing(line.mask, folder, where),
        anomalous=line.label == 1,
        category=line.category,
        product=line.product,
        defect=(line.defect or UNNAMED_DEFECT) if line.label == 1 else None,
        split=line.split,
        dataset=line.dataset,
    )


def _existing(text: str, folder: Path, where: str) -> Path:
    path = _direct(folder / text)
    if not path.is_file():
        raise DataLayoutError(f"{where}: there is no file {path}")
    return path


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(_direct(path), folder)).as_posix()


def _direct(path: Path) -> Path:
    # `..` in a path is only right where no folder on the way is a link. The file itself may be one: its
    # name says more than the name of what it points to.
    return path.parent.resolve() / path.name
