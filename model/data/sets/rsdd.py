"""RSDD: `Type-I RSDDs dataset/Rail surface images` beside `GroundTruth`, and the same for Type-II.

There is no split: all originals are test images. Their masks are JPEGs, black is not quite black.
"""

from collections.abc import Iterator
from pathlib import Path

from model.data.pixels import read_mask
from model.data.row import TEST, UNNAMED_DEFECT, DataLayoutError, ManifestRow
from model.data.sets.folders import (
    find_mask,
    holds_images,
    index_masks,
    list_folders,
    list_images,
    open_root,
)
from model.data.sets.layout import Counts, DatasetLayout, Reference
from model.data.sets.mvtec_layout import Words, follows_layout, list_layout

_NAME, _CROPS = "rsdd", "rsdd-crops"
_PRODUCT = "rail surface"
_EXPECTED = (
    "'Type-I RSDDs dataset' and 'Type-II RSDDs dataset', each with images beside GroundTruth"
)


def prepare(root: Path) -> list[ManifestRow]:
    """List the originals; the field's crops, in MVTec-AD's layout, are listed under their own name.

    Raises:
        DataLayoutError: no folder of masks with images beside it is found, its type is not in the folder's
            name, or a mask is missing.
    """
    root = open_root(root, _EXPECTED)
    if follows_layout(root):
        return list_layout(root, Words(_CROPS, product=lambda _: _PRODUCT))
    masks = [p for p in [root, *list_folders(root)] if _mask_folder(p) is not None]
    if not masks:
        raise DataLayoutError(f"{root} holds no folder GroundTruth; expected {_EXPECTED}")
    return [row for folder in masks for row in _list_type(folder)]


def _list_type(folder: Path) -> Iterator[ManifestRow]:
    category = _type_of(folder)
    masks = index_masks(_mask_folder(folder))
    for image in list_images(_image_folder(folder)):
        mask = find_mask(masks, image, ("",))
        if mask is None:
            raise DataLayoutError(f"{image} has no mask; expected the same name in GroundTruth")
        anomalous = bool(read_mask(mask).any())
        yield ManifestRow(
            image=image,
            mask=mask if anomalous else None,
            anomalous=anomalous,
            category=category,
            product=_PRODUCT,
            defect=UNNAMED_DEFECT if anomalous else None,
            split=TEST,
            dataset=_NAME,
        )


def _mask_folder(folder: Path) -> Path | None:
    return next((p for p in list_folders(folder) if _is_ground_truth(p)), None)


def _image_folder(folder: Path) -> Path:
    found = [p for p in list_folders(folder) if not _is_ground_truth(p) and holds_images(p)]
    if len(found) != 1:
        raise DataLayoutError(
            f"{folder} holds {len(found)} folders of images; expected one beside GroundTruth"
        )
    return found[0]


def _is_ground_truth(folder: Path) -> bool:
    letters = "".join(c for c in folder.name.casefold() if c.isalpha())
    return "groundtruth" in letters


def _type_of(folder: Path) -> str:
    name = folder.name.casefold().replace("_", "-").replace(" ", "-")
    for number in ("type-ii", "type-i"):
        if number in name:
            return number
    raise DataLayoutError(f"{folder} does not say which type it is; expected {_EXPECTED}")


LAYOUT = DatasetLayout(
    name=_NAME,
    prepare=prepare,
    references=(
        Reference(_NAME, "originals of both types", Counts(0, 67 + 128)),
        Reference(_NAME, "originals of Type-I", Counts(0, 67)),
        Reference(_NAME, "originals of Type-II", Counts(0, 128)),
        Reference(_CROPS, "the field's crops", Counts(387, 387)),
    ),
)
