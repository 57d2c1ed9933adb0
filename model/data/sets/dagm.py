"""DAGM 2007: `ClassN/Test/0001.PNG` with `ClassN/Test/Label/0001_label.PNG` where there is a defect.

Some downloads hold `ClassN/ClassN/...`. Masks are coarse ellipses.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from model.data.row import TEST, TRAIN, UNNAMED_DEFECT, DataLayoutError, ManifestRow
from model.data.sets.folders import (
    child,
    find_mask,
    index_masks,
    list_folders,
    list_images,
    open_root,
)
from model.data.sets.layout import Counts, DatasetLayout, Reference
from model.data.sets.mvtec_layout import Words, follows_layout, list_layout

_NAME, _BALANCED = "dagm", "dagm-balanced"
_PRODUCT = "textured surface"
_EXPECTED = "Class1 to Class10, each with Train and Test, each with Label"
_ENDING = "_label"
_FIELDS_COUNT = Counts(1350, 1350)


def prepare(root: Path) -> list[ManifestRow]:
    """List every image of all classes; a balanced copy in MVTec-AD's layout gets a name of its own.

    Raises:
        DataLayoutError: there is no class, something else beside them, or labels without their images.
    """
    root = open_root(root, _EXPECTED)
    if follows_layout(root):
        return list_layout(root, Words(_BALANCED, product=_product_of))
    classes = list_folders(root)
    if not classes:
        raise DataLayoutError(f"{root} holds no class; expected {_EXPECTED}")
    return [row for folder in classes for row in _list_class(folder)]


def _list_class(folder: Path) -> Iterator[ManifestRow]:
    product = _product_of(folder)
    inner = child(folder, folder.name) or folder
    for split in (TRAIN, TEST):
        images = child(inner, split)
        if images is not None:
            yield from _list_split(images, folder.name, product, split)
        elif split == TEST:
            raise DataLayoutError(f"{inner} holds no folder Test; expected {_EXPECTED}")


def _list_split(folder: Path, category: str, product: str, split: str) -> Iterator[ManifestRow]:
    labels = child(folder, "Label")
    if labels is None:
        raise DataLayoutError(f"{folder} holds no folder Label; expected {_EXPECTED}")
    images, masks = list_images(folder), index_masks(labels)
    without = masks.keys() - {f"{p.stem}{_ENDING}".casefold() for p in images}
    if without:
        raise DataLayoutError(f"{masks[min(without)]} labels no image of {folder}")
    for image in images:
        mask = find_mask(masks, image, (_ENDING,))
        yield ManifestRow(
            image=image,
            mask=mask,
            anomalous=mask is not None,
            category=category,
            product=product,
            defect=None if mask is None else UNNAMED_DEFECT,
            split=split,
            dataset=_NAME,
        )


def _product_of(folder: Path) -> str:
    if re.fullmatch(r"class\d+", folder.name.casefold()) is None:
        raise DataLayoutError(f"{folder} is no class; expected {_EXPECTED}")
    return _PRODUCT


LAYOUT = DatasetLayout(
    name=_NAME,
    prepare=prepare,
    references=(
        Reference(_NAME, "the field's balanced 7 of 10 classes", _FIELDS_COUNT),
        Reference(_BALANCED, "the field's balanced 7 of 10 classes", _FIELDS_COUNT),
    ),
)
