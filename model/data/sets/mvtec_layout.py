"""MVTec-AD's folder layout, which many data sets follow with other words.

    <category>/train/good/*              may be missing
    <category>/test/good/*
    <category>/test/<defect>/*
    <category>/ground_truth/<defect>/<stem>_mask.*   or <stem>.*

Knows the layout; the words come from the data set.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.data.row import TEST, TRAIN, DataLayoutError, ManifestRow, spoken
from model.data.sets.folders import (
    find_mask,
    index_masks,
    list_folders,
    list_images,
    refuse_unknown,
)

NORMAL = "good"
GROUND_TRUTH = "ground_truth"
MASK_ENDINGS = ("_mask", "")


def _spoken_name(category: Path) -> str:
    return spoken(category.name)


@dataclass(frozen=True)
class Words:
    """What a data set calls things.

    Attributes:
        dataset: goes into the rows.
        normal: folder of the normal images.
        defects: name of the defect for each folder of anomalous images; None where any folder is one, and
            its own name the defect's.
        product: gives the spoken name of a category's folder; may refuse it with `DataLayoutError`.
    """

    dataset: str
    normal: str = NORMAL
    defects: Mapping[str, str] | None = None
    product: Callable[[Path], str] = _spoken_name


def follows_layout(root: Path) -> bool:
    """Say whether any category is laid out like this."""
    return any((folder / TEST / NORMAL).is_dir() for folder in list_folders(root))


def list_layout(root: Path, words: Words) -> list[ManifestRow]:
    """List every image below `root`, by category, split, defect and name.

    Raises:
        DataLayoutError: there is no category, something is where nothing should be, or a mask is missing.
    """
    categories = list_folders(root)
    if not any((c / split).is_dir() for c in categories for split in (TRAIN, TEST)):
        hint = "; is it one category? Name the folder above it" if (root / TEST).is_dir() else ""
        raise DataLayoutError(f"{root} holds no <category>/{TEST}/{words.normal} folder{hint}")
    return [row for category in categories for row in _list_category(category, words)]


def _list_category(category: Path, words: Words) -> Iterator[ManifestRow]:
    refuse_unknown(
        category, (TRAIN, TEST, GROUND_TRUTH), f"only {TRAIN}, {TEST} and {GROUND_TRUTH}"
    )
    splits = [split for split in (TRAIN, TEST) if (category / split).is_dir()]
    if not splits:
        raise DataLayoutError(f"{category} holds neither {TRAIN} nor {TEST}; is it a category?")
    product = words.product(category)
    for split in splits:
        for kind in _kinds(category / split, words):
            masks = index_masks(category / GROUND_TRUTH / kind.name)
            defect = None if kind.name == words.normal else _defect(kind, words)
            for image in list_images(kind):
                yield ManifestRow(
                    image=image,
                    mask=None if defect is None else _mask(masks, image, category),
                    anomalous=defect is not None,
                    category=category.name,
                    product=product,
                    defect=defect,
                    split=split,
                    dataset=words.dataset,
                )


def _kinds(folder: Path, words: Words) -> list[Path]:
    kinds = list_folders(folder)
    names = [p.name for p in kinds]
    if folder.name == TRAIN:
        refuse_unknown(folder, [words.normal], f"only {words.normal}")
    elif words.defects is None:
        refuse_unknown(folder, names, f"{words.normal} and a folder for each defect")
    else:
        known = [words.normal, *words.defects]
        refuse_unknown(folder, known, f"only {' and '.join(known)}")
    if words.normal not in names:
        raise DataLayoutError(f"{folder} holds no folder {words.normal} of normal images")
    return kinds


def _defect(kind: Path, words: Words) -> str:
    return kind.name if words.defects is None else words.defects[kind.name]


def _mask(masks: Mapping[str, Path], image: Path, category: Path) -> Path:
    mask = find_mask(masks, image, MASK_ENDINGS)
    if mask is None:
        folder = category / GROUND_TRUTH / image.parent.name
        raise DataLayoutError(f"{image} has no mask; expected {folder / image.stem}_mask.png")
    return mask
