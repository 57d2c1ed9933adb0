"""Rendered sets on disk: what a reader of the layout finds in them."""

from pathlib import Path

import numpy as np

from model.data.manifest import open_data
from model.data.procedural import FAMILIES
from model.data.render import write_sample
from model.data.row import spoken
from model.types import Sample


def test_a_rendered_set_has_the_products_names(tmp_path: Path) -> None:
    """One category for each family, called what people call the product, were the family's name another."""
    image, mask = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.bool_)
    for family in FAMILIES.values():
        for defect in (None, "pulled thread"):
            marked = mask if defect else ~mask
            write_sample(Sample(image, marked, family.name, family.product, defect), tmp_path, "0")
    rows = open_data(tmp_path)
    assert len(rows) == 2 * len(FAMILIES)
    assert {r.product for r in rows} == {spoken(f.product) for f in FAMILIES.values()}
    assert {r.category for r in rows} >= {"o-ring", "perforated_sheet"}
