"""DTD-Synthetic: twelve textures with drawn defects, `Woven_001/test/bad`."""

import re
from pathlib import Path

from model.data.row import UNNAMED_DEFECT, ManifestRow, spoken
from model.data.sets.folders import open_root
from model.data.sets.layout import Counts, DatasetLayout, Reference
from model.data.sets.mvtec_layout import Words, list_layout

_NAME = "dtd"


def prepare(root: Path) -> list[ManifestRow]:
    """List every image.

    Raises:
        DataLayoutError: see `list_layout`.
    """
    root = open_root(root, "<texture>_<number>/test/good and bad")
    return list_layout(root, Words(_NAME, defects={"bad": UNNAMED_DEFECT}, product=_product_of))


def _product_of(category: Path) -> str:
    return spoken(re.sub(r"_\d+$", "", category.name)).lower()


LAYOUT = DatasetLayout(
    name=_NAME,
    prepare=prepare,
    references=(Reference(_NAME, "official test split", Counts(357, 947)),),
)
