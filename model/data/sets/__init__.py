"""The data sets that manifests can be made of, one file each. Knows their names; the layouts are theirs."""

from collections.abc import Mapping
from types import MappingProxyType

from model.data.sets import btad, dagm, dtd, ksdd2, mvtec, own_folder, rsdd, visa
from model.data.sets.layout import Counts, DatasetLayout, Reference, count

__all__ = ["SETS", "Counts", "DatasetLayout", "Reference", "count"]

SETS: Mapping[str, DatasetLayout] = MappingProxyType(
    {
        module.LAYOUT.name: module.LAYOUT
        for module in (mvtec, visa, btad, ksdd2, rsdd, dagm, dtd, own_folder)
    }
)
