"""A plain folder of one's own: `good/`, a folder for each defect, and perhaps masks in `ground_truth/`."""

from collections.abc import Iterator
from pathlib import Path

from model.data.row import TEST, DataLayoutError, ManifestRow, spoken
from model.data.sets.folders import (
    find_mask,
    index_masks,
    list_folders,
    list_images,
    open_root,
    refuse_unknown,
)
from model.data.sets.layout import DatasetLayout
from model.data.sets.mvtec_layout import GROUND_TRUTH, MASK_ENDINGS

_NAME = "folder"
_GOOD = "good"
_EXPECTED = "good/, a folder for each defect and perhaps ground_truth/<defect>/"


def prepare(root: Path) -> list[ManifestRow]:
    """List every image as a test image of one category, named after the folder, and so is the data set.

    Defects without a folder in `ground_truth/` have no masks: their images count for image-level figures only.

    Raises:
        DataLayoutError: there is no `good/`, an image lies outside the folders, or single masks are missing.
    """
    root = open_root(root, _EXPECTED)
    kinds = [p for p in list_folders(root) if p.name != GROUND_TRUTH]
    names = {p.name for p in kinds}
    if _GOOD not in names:
        raise DataLayoutError(f"{root} holds no folder {_GOOD}; expected {_EXPECTED}")
    refuse_unknown(root, names | {GROUND_TRUTH}, _EXPECTED)
    if (root / GROUND_TRUTH).is_dir():
        refuse_unknown(root / GROUND_TRUTH, names, "a folder for each defect, named like it")
    return [row for kind in kinds for row in _list_kind(kind)]


def _list_kind(kind: Path) -> Iterator[ManifestRow]:
    root, anomalous = kind.parent, kind.name != _GOOD
    truth = root / GROUND_TRUTH / kind.name
    masks = index_masks(truth)
    for image in list_images(kind):
        mask = find_mask(masks, image, MASK_ENDINGS) if anomalous else None
        if anomalous and mask is None and truth.is_dir():
            raise DataLayoutError(f"{image} has no mask; expected {truth / image.stem}_mask.png")
        yield ManifestRow(
            image=image,
            mask=mask,
            anomalous=anomalous,
            category=root.name,
            product=spoken(root.name),
            defect=kind.name if anomalous else None,
            split=TEST,
            dataset=f"{_NAME} {root.name}",  # never the name of a published set
        )


LAYOUT = DatasetLayout(name=_NAME, prepare=prepare)
