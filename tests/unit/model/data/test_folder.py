"""Reading MVTec-AD's folder layout, built in miniature."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data.folder import DataLayoutError, list_items, read_item


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set of one category: two normal images, one scratched."""
    grey = np.full((6, 8), 90, dtype=np.uint8)
    mask = np.zeros((6, 8), dtype=np.uint8)
    mask[2, 3] = 1  # any non-zero value is a defect
    _save(tmp_path / "metal_nut/test/good/000.png", grey)
    _save(tmp_path / "metal_nut/test/good/001.bmp", grey)
    _save(tmp_path / "metal_nut/test/scratch/000.png", grey)
    _save(tmp_path / "metal_nut/ground_truth/scratch/000_mask.png", mask)
    (tmp_path / "metal_nut/test/good/notes.txt").write_text("not an image")
    return tmp_path


def test_items_are_listed_with_their_truth(root: Path) -> None:
    """Normal images have no mask, anomalous ones have theirs; other files are no items."""
    items = [(i.image.name, i.category, i.defect, i.mask is not None) for i in list_items(root)]
    assert items == [
        ("000.png", "metal_nut", None, False),
        ("001.bmp", "metal_nut", None, False),
        ("000.png", "metal_nut", "scratch", True),
    ]


def test_a_grey_image_is_read_as_rgb_with_its_mask(root: Path) -> None:
    """Pixels become RGB, the mask is where its file is not zero, the name is spoken."""
    sample = read_item(list_items(root)[2])
    assert sample.image.shape == (6, 8, 3)
    assert (int(sample.mask.sum()), bool(sample.mask[2, 3])) == (1, True)
    assert (sample.product, sample.defect) == ("metal nut", "scratch")
    assert read_item(list_items(root)[0], product="nut").product == "nut"


def test_a_missing_mask_is_an_error(root: Path) -> None:
    """An anomalous image without a mask is reported, not taken for normal."""
    (root / "metal_nut/ground_truth/scratch/000_mask.png").unlink()
    with pytest.raises(DataLayoutError, match="has no mask"):
        list_items(root)


def test_a_mask_of_another_size_is_an_error(root: Path) -> None:
    """A mask that does not fit its image is reported."""
    _save(root / "metal_nut/ground_truth/scratch/000_mask.png", np.zeros((3, 3), dtype=np.uint8))
    with pytest.raises(DataLayoutError, match=r"\(3, 3\)"):
        read_item(list_items(root)[2])


def test_a_folder_without_categories_is_an_error(tmp_path: Path) -> None:
    """A wrong path is reported as such."""
    with pytest.raises(DataLayoutError, match="no <category>/test"):
        list_items(tmp_path)
