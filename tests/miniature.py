"""Each data set in miniature: its real folders and names, a few images of 48 x 64 px, masks as odd as theirs.

The same bytes every time. Every category has at least three normal and three anomalous test images.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.data.manifest import open_data
from model.data.render import render_training
from model.data.row import ManifestRow
from model.data.sets import Counts

HEIGHT_PX, WIDTH_PX = 48, 64
DEFECT_PX = (10, 14)  # height and width of every defect
DEFECT_AREA_PX = DEFECT_PX[0] * DEFECT_PX[1]
_NORMAL, _ANOMALOUS, _TRAIN = 3, 4, 3


@dataclass(frozen=True)
class Expected:
    """What a manifest of the folder should hold.

    Attributes:
        dataset: name in the rows.
        products: spoken name of each category.
        test: images of each category.
        train: the same for the train split; empty where there is none.
    """

    dataset: str
    products: Mapping[str, str]
    test: Mapping[str, Counts]
    train: Mapping[str, Counts] = field(default_factory=dict)


def draw(key: str, *, defective: bool) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw a striped surface, with a bright defect if asked; the key decides about colour, noise and place.

    Returns:
        uint8 `[48, 64, 3]` and its bool mask `[48, 64]`.
    """
    rng = np.random.default_rng(list(key.encode()))
    colour = rng.integers(60, 120, size=3)
    stripes = 12 * np.sin(np.arange(WIDTH_PX) / rng.uniform(1.5, 4))  # [64]
    image = colour + stripes[None, :, None] + rng.normal(0, 4, (HEIGHT_PX, WIDTH_PX, 3))
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.bool_)
    if defective:
        height, width = DEFECT_PX
        top = int(rng.integers(0, HEIGHT_PX - height))
        left = int(rng.integers(0, WIDTH_PX - width))
        mask[top : top + height, left : left + width] = True
        image[mask] += 90
    return image.clip(0, 255).astype(np.uint8), mask


def write_mvtec(root: Path) -> Expected:
    """MVTec-AD: two categories, two defects each, and what file managers leave behind."""
    names = {"metal_nut": "metal nut", "carpet": "carpet"}
    conventions = (_mask_255, _mask_1, _mask_palette, _mask_rgb)
    for category in names:
        folder = root / category
        for i in range(_TRAIN):
            _write_image(root, f"{category}/train/good/{i:03}.png")
        for i in range(_NORMAL):
            _write_image(root, f"{category}/test/good/{i:03}.png")
        for i in range(_ANOMALOUS):
            defect, mask_of = ("bent", "large_scratch")[i % 2], conventions[i]
            mask = _write_image(root, f"{category}/test/{defect}/{i:03}.png", defective=True)
            _save(folder / f"ground_truth/{defect}/{i:03}_mask.png", mask_of(mask))
        _litter(folder / "test/good")
    (root / "readme.txt").write_text("not an image")
    dataset = "mvtec" if "mvtec" in root.name.casefold() else root.name
    return _expected(dataset, names, train=Counts(_TRAIN, 0))


def write_visa(root: Path) -> Expected:
    """VisA: a table says what is what; .JPG images, masks with small numbers."""
    names = {"candle": "candle", "macaroni1": "macaroni", "pcb3": "printed circuit board"}
    lines = [("object", "split", "label", "image", "mask")]
    for category in names:
        for i in range(_TRAIN + _NORMAL):
            image = f"{category}/Data/Images/Normal/{i:04}.JPG"
            _write_image(root, image)
            lines.append((category, "train" if i < _TRAIN else "test", "normal", image, ""))
        for i in range(_ANOMALOUS):
            image = f"{category}/Data/Images/Anomaly/{i:03}.JPG"
            truth = f"{category}/Data/Masks/Anomaly/{i:03}.png"
            mask = _write_image(root, image, defective=True)
            _save(root / truth, Image.fromarray(mask.astype(np.uint8) * np.uint8(1 + i % 3)))
            lines.append((category, "test", "anomaly", image, truth))
    (root / "split_csv").mkdir()
    with (root / "split_csv/1cls.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return _expected("visa", names, train=Counts(_TRAIN, 0))


def write_btad(root: Path) -> Expected:
    """BTAD: ok and ko; .bmp and .png mixed, also between an image and its mask."""
    names = {"01": "metal", "02": "wood", "03": "metal"}
    suffixes = {"01": (".bmp", ".png"), "02": (".png", ".png"), "03": (".bmp", ".bmp")}
    for category, (suffix, mask_suffix) in suffixes.items():
        folder = root / category
        for i in range(_TRAIN):
            _write_image(root, f"{category}/train/ok/{i:04}{suffix}")
        for i in range(_NORMAL):
            _write_image(root, f"{category}/test/ok/{i:04}{suffix}")
        for i in range(_ANOMALOUS):
            mask = _write_image(root, f"{category}/test/ko/{i:04}{suffix}", defective=True)
            _save(folder / f"ground_truth/ko/{i:04}{mask_suffix}", _mask_255(mask))
        _litter(folder / "test/ko")
    return _expected("btad", names, train=Counts(_TRAIN, 0))


def write_ksdd2(root: Path) -> Expected:
    """KolektorSDD2: every image has a mask; the train split has defects and a stray copy."""
    for split, normal, anomalous in (("train", _TRAIN, 1), ("test", _NORMAL, _ANOMALOUS)):
        for i in range(normal + anomalous):
            stem = f"{split}/{20000 + i}"
            mask = _write_image(root, f"{stem}.png", defective=i >= normal)
            _save(root / f"{stem}_GT.png", _mask_255(mask))
    for stem in ("20000", "20000_GT"):
        copy = root / "train" / f"{stem} (copy).png"
        copy.write_bytes((root / "train" / f"{stem}.png").read_bytes())
    train = Counts(_TRAIN, 1)
    return _expected("ksdd2", {"KolektorSDD2": "metal surface"}, train=train)


def write_rsdd(root: Path) -> Expected:
    """RSDD: originals of both types; the masks are JPEGs whose black is not quite black."""
    for kind in ("Type-I", "Type-II"):
        folder = f"{kind} RSDDs dataset"
        for i in range(_NORMAL + _ANOMALOUS):
            name = f"rail_{i + 1}.jpg"
            image = f"{folder}/Rail surface images/{name}"
            mask = _write_image(root, image, defective=i >= _NORMAL)
            _save(root / folder / "GroundTruth" / name, _mask_grey(mask))
    return _expected("rsdd", {"type-i": "rail surface", "type-ii": "rail surface"})


def write_dagm(root: Path) -> Expected:
    """DAGM 2007: .PNG, labels below their images; one class lies one folder deeper."""
    for name, folder in (("Class1", "Class1/Class1"), ("Class10", "Class10")):
        mask_of = _mask_255 if name == "Class1" else _mask_rgb
        for split, normal, anomalous in (("Train", _TRAIN, 1), ("Test", _NORMAL, _ANOMALOUS)):
            for i in range(normal + anomalous):
                mask = _write_image(root, f"{folder}/{split}/{i:04}.PNG", defective=i >= normal)
                if mask.any():
                    _save(root / folder / split / f"Label/{i:04}_label.PNG", mask_of(mask))
            (root / folder / split / "Label/Labels.txt").write_text("1\n1\t0\t0001.PNG\t0\t0\n")
    names = dict.fromkeys(("Class1", "Class10"), "textured surface")
    return _expected("dagm", names, train=Counts(_TRAIN, 1))


def write_dtd(root: Path) -> Expected:
    """DTD-Synthetic: good and bad, palette masks."""
    names = {"Blotchy_099": "blotchy", "Woven_001": "woven"}
    for category in names:
        folder = root / category
        for i in range(_TRAIN):
            _write_image(root, f"{category}/train/good/{i:03}.png")
        for i in range(_NORMAL):
            _write_image(root, f"{category}/test/good/{i:03}.png")
        for i in range(_ANOMALOUS):
            mask = _write_image(root, f"{category}/test/bad/{i:03}.png", defective=True)
            _save(folder / f"ground_truth/bad/{i:03}_mask.png", _mask_palette(mask))
    return _expected("dtd", names, train=Counts(_TRAIN, 0))


def write_folder(root: Path) -> Expected:
    """Images of one's own: any suffix in any case, masks named either way."""
    for i, suffix in enumerate((".png", ".BMP", ".tif")):
        _write_image(root, f"good/part {i}{suffix}")
    for i in range(_ANOMALOUS):
        defect, ending = (("dent", "_mask"), ("deep-scratch", ""))[i % 2]
        mask = _write_image(root, f"{defect}/part {i}.jpeg", defective=True)
        _save(root / f"ground_truth/{defect}/part {i}{ending}.png", _mask_bilevel(mask))
    _litter(root / "good")
    name = root.name
    return _expected(f"folder {name}", {name: name.replace("_", " ").replace("-", " ")})


WRITERS: Mapping[str, Callable[[Path], Expected]] = {
    "mvtec": write_mvtec,
    "visa": write_visa,
    "btad": write_btad,
    "ksdd2": write_ksdd2,
    "rsdd": write_rsdd,
    "dagm": write_dagm,
    "dtd": write_dtd,
    "folder": write_folder,
}


def rows_of(folder: Path) -> list[ManifestRow]:
    """Render four pairs of the generator's, 64 px a side, and list them."""
    render_training(folder, 4, 64, 1, lambda done, total: None)
    return open_data(folder)


def _expected(dataset: str, names: Mapping[str, str], train: Counts | None = None) -> Expected:
    test = dict.fromkeys(names, Counts(_NORMAL, _ANOMALOUS))
    return Expected(dataset, names, test, {} if train is None else dict.fromkeys(names, train))


def _write_image(root: Path, name: str, *, defective: bool = False) -> NDArray[np.bool_]:
    image, mask = draw(name, defective=defective)
    _save(root / name, Image.fromarray(image))
    return mask


def _save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95)  # of a JPEG; the other formats ignore it


def _mask_255(mask: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * np.uint8(255))


def _mask_grey(mask: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(np.where(mask, 252, 3).astype(np.uint8))


def _mask_1(mask: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8))


def _mask_bilevel(mask: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(mask)


def _mask_palette(mask: NDArray[np.bool_]) -> Image.Image:
    image = Image.fromarray(np.where(mask, 0, 7).astype(np.uint8))
    image.putpalette([128, 0, 0] + [0, 0, 0] * 7)  # number 0 is red: defective
    return image


def _mask_rgb(mask: NDArray[np.bool_]) -> Image.Image:
    image = np.zeros((*mask.shape, 3), dtype=np.uint8)
    image[mask] = (0, 0, 1)  # as grey it would be black
    return Image.fromarray(image)


def _litter(folder: Path) -> None:
    for name in ("Thumbs.db", ".DS_Store", "._000.png"):
        (folder / name).write_bytes(b"not an image")
