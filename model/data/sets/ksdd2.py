"""KolektorSDD2: `train/` and `test/` with `X.png` and its mask `X_GT.png`; a black mask means normal."""

from collections.abc import Iterator
from pathlib import Path

from model.data.pixels import read_mask
from model.data.row import TEST, TRAIN, UNNAMED_DEFECT, DataLayoutError, ManifestRow
from model.data.sets.folders import find_mask, index_masks, list_images, open_root, refuse_unknown
from model.data.sets.layout import Counts, DatasetLayout, Reference
from model.data.sets.mvtec_layout import Words, follows_layout, list_layout

_NAME, _CROPS = "ksdd2", "ksdd2-crops"
_PRODUCT = "metal surface"
_ENDING = "_gt"
_STRAY = "(copy)"  # the published archive holds a second `10301.png` and its mask under this name


def prepare(root: Path) -> list[ManifestRow]:
    """List every image; the field's balanced crops, in MVTec-AD's layout, are listed under their own name.

    Raises:
        DataLayoutError: a folder or a mask is missing.
    """
    root = open_root(root, "train and test with X.png and X_GT.png")
    if follows_layout(root):
        return list_layout(root, Words(_CROPS, product=lambda _: _PRODUCT))
    refuse_unknown(root, (TRAIN, TEST), f"only {TRAIN} and {TEST}")
    splits = [split for split in (TRAIN, TEST) if split == TEST or (root / split).is_dir()]
    return [row for split in splits for row in _list_split(root / split)]


def _list_split(folder: Path) -> Iterator[ManifestRow]:
    images, masks = list_images(folder), index_masks(folder)
    for image in images:
        if image.stem.casefold().endswith(_ENDING) or _STRAY in image.stem:
            continue
        mask = find_mask(masks, image, (_ENDING,))
        if mask is None:
            raise DataLayoutError(f"{image} has no mask; expected {image.stem}_GT.png beside it")
        anomalous = bool(read_mask(mask).any())
        yield ManifestRow(
            image=image,
            mask=mask if anomalous else None,
            anomalous=anomalous,
            category="KolektorSDD2",
            product=_PRODUCT,
            defect=UNNAMED_DEFECT if anomalous else None,
            split=folder.name,
            dataset=_NAME,
        )


LAYOUT = DatasetLayout(
    name=_NAME,
    prepare=prepare,
    references=(
        Reference(_NAME, "official test split", Counts(894, 110)),
        Reference(_CROPS, "the field's balanced crops", Counts(356, 356)),
    ),
)
