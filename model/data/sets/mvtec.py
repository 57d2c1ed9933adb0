"""MVTec-AD, and any folder in its layout whatever its categories."""

from pathlib import Path

from model.data.row import ManifestRow
from model.data.sets.folders import list_folders, open_root
from model.data.sets.layout import Counts, DatasetLayout, Reference
from model.data.sets.mvtec_layout import Words, list_layout

_NAME = "mvtec"
_CATEGORIES = frozenset(
    {
        *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut"),
        *("pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper"),
    }
)


def prepare(root: Path) -> list[ManifestRow]:
    """List every image.

    It is MVTec-AD if all fifteen categories are there or the folder's name says so. Otherwise the data set is
    named after its folder: others have a `tile` or a `screw` too.

    Raises:
        DataLayoutError: see `list_layout`.
    """
    root = open_root(root, "<category>/test/good, <category>/test/<defect>")
    complete = {p.name for p in list_folders(root)} >= _CATEGORIES
    is_mvtec = complete or _NAME in root.name.casefold()
    return list_layout(root, Words(dataset=_NAME if is_mvtec else root.name))


LAYOUT = DatasetLayout(
    name=_NAME,
    prepare=prepare,
    references=(Reference(_NAME, "official test split", Counts(467, 1258)),),
)
