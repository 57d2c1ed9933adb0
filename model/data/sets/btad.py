"""BTAD: three products by number, `ok` and `ko`; images and masks are .bmp or .png, not always alike."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from model.data.row import UNNAMED_DEFECT, DataLayoutError, ManifestRow
from model.data.sets.folders import open_root
from model.data.sets.layout import Counts, DatasetLayout, Reference
from model.data.sets.mvtec_layout import Words, list_layout

_NAME = "btad"
_SPOKEN: Mapping[str, str] = MappingProxyType({"01": "metal", "02": "wood", "03": "metal"})


def prepare(root: Path) -> list[ManifestRow]:
    """List every image.

    Raises:
        DataLayoutError: see `list_layout`; or a category is none of the three.
    """
    root = open_root(root, "01, 02 and 03, each with train/ok, test/ok, test/ko, ground_truth/ko")
    defects = {"ko": UNNAMED_DEFECT}
    return list_layout(root, Words(_NAME, normal="ok", defects=defects, product=_product_of))


def _product_of(category: Path) -> str:
    if category.name not in _SPOKEN:
        raise DataLayoutError(f"{category} is no category; expected {', '.join(_SPOKEN)}")
    return _SPOKEN[category.name]


LAYOUT = DatasetLayout(
    name=_NAME,
    prepare=prepare,
    references=(Reference(_NAME, "official test split", Counts(451, 290)),),
)
