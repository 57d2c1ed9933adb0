"""Read a data set in MVTec-AD's folder layout.

`<category>/test/good/*` are normal, `<category>/test/<defect>/*` anomalous with masks in
`<category>/ground_truth/<defect>/<stem>_mask.png`. Knows files; knows no model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from model.data.manifest import DataLayoutError
from model.types import Sample

__all__ = ["DataLayoutError", "FolderItem", "list_items", "read_item"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
GOOD = "good"


@dataclass(frozen=True)
class FolderItem:
    """One image on disk: its category, defect (None for normal) and mask file (None for normal)."""

    image: Path
    category: str
    defect: str | None
    mask: Path | None


def list_items(root: Path) -> list[FolderItem]:
    """List all test images below `root`, sorted by category, defect and name.

    Raises:
        DataLayoutError: when there is no category, or an anomalous image has no mask.
    """
    categories = sorted(p.parent for p in root.glob("*/test") if p.is_dir())
    if not categories:
        raise DataLayoutError(f"{root} holds no <category>/test folder")
    return [item for category in categories for item in _list_category(category)]


def _list_category(category: Path) -> Iterator[FolderItem]:
    for kind in sorted(p for p in (category / "test").iterdir() if p.is_dir()):
        images = sorted(p for p in kind.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        for image in images:
            if kind.name == GOOD:
                yield FolderItem(image, category.name, None, None)
                continue
            mask = category / "ground_truth" / kind.name / f"{image.stem}_mask.png"
            if not mask.exists():
                raise DataLayoutError(f"{image} has no mask {mask}")
            yield FolderItem(image, category.name, kind.name, mask)


def read_item(item: FolderItem, product: str | None = None) -> Sample:
    """Decode one item; any non-zero mask pixel is defective.

    Args:
        item: from `list_items`.
        product: spoken name; by default the category with underscores as blanks.
    """
    with Image.open(item.image) as opened:
        image = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    return Sample(
        image=image,
        mask=_read_mask(item, image.shape[:2]),
        category=item.category,
        product=product or item.category.replace("_", " "),
        kind="unknown",
        defect=item.defect,
    )


def _read_mask(item: FolderItem, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if item.mask is None:
        return np.zeros(shape, dtype=np.bool_)
    with Image.open(item.mask) as opened:
        mask = np.asarray(opened.convert("L")) > 0
    if mask.shape != shape:
        raise DataLayoutError(f"{item.mask} is {mask.shape}, its image {shape}")
    return mask
