"""Manifests: what is written is read again, wherever the files move; what is wrong is named by its line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.data.manifest import open_data, read_manifest, write_manifest_rows
from model.data.pixels import read_image, read_mask, read_sample
from model.data.row import DataLayoutError, ManifestRow
from model.data.sets import SETS
from tests.miniature import WRITERS


def _png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image and a mask."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("image.png", "mask.png"):
        _png(folder / name, np.eye(6, 8, dtype=np.uint8))
    return folder


@pytest.fixture
def prepared(tmp_path: Path) -> list[ManifestRow]:
    """The rows of a data set with both splits."""
    WRITERS["mvtec"](tmp_path / "mvtec")
    return SETS["mvtec"].prepare(tmp_path / "mvtec")


_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(
    names=st.lists(st.tuples(_TEXT, _TEXT, _TEXT, st.booleans(), st.booleans()), min_size=1),
    split=st.sampled_from(["train", "test"]),
    dataset=_TEXT,
)
def test_rows_written_are_read_again(
    images: Path, names: list[tuple[str, str, str, bool, bool]], split: str, dataset: str
) -> None:
    """Any names, line breaks and quotes included; with mask and without."""
    rows = [
        ManifestRow(
            image=images / "image.png",
            mask=images / "mask.png" if anomalous and masked else None,
            anomalous=anomalous,
            category=category,
            product=product,
            defect=defect if anomalous else None,
            split=split,
            dataset=dataset,
        )
        for category, product, defect, anomalous, masked in names
    ]
    write_manifest_rows(rows, images / "lists" / "rows.jsonl")
    assert read_manifest(images / "lists" / "rows.jsonl") == rows


def test_manifest_is_readable_by_others(prepared: list[ManifestRow], tmp_path: Path) -> None:
    """The keys as documented, the paths relative to the manifest, with forward slashes."""
    write_manifest_rows(prepared, tmp_path / "lists" / "mvtec.jsonl")
    lines = (tmp_path / "lists" / "mvtec.jsonl").read_text().splitlines()
    found = next(line for line in map(json.loads, lines) if line["label"] == 1)
    assert found == {
        "image": "../mvtec/carpet/test/bent/000.png",
        "mask": "../mvtec/carpet/ground_truth/bent/000_mask.png",
        "label": 1,
        "category": "carpet",
        "product": "carpet",
        "defect": "bent",
        "split": "test",
        "dataset": "mvtec",
    }


def test_manifest_moves_with_its_images(prepared: list[ManifestRow], tmp_path: Path) -> None:
    """A copy of both, elsewhere, is read from there; so is one behind a link."""
    write_manifest_rows(prepared, tmp_path / "mvtec" / "list.jsonl")
    shutil.copytree(tmp_path / "mvtec", tmp_path / "far" / "away")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    for folder in ("far/away", "link"):
        rows = read_manifest(tmp_path / folder / "list.jsonl")
        assert len(rows) == len(prepared)
        assert all(r.image.is_relative_to(tmp_path / "far" / "away") for r in rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": None}, "line 2: split"),
        ({"split": "validation"}, "line 2: split: .*'train' or 'test'"),
        ({"label": 2}, "line 2: label"),
        ({"label": 0}, "line 2: label is 0, but"),
        ({"image": "absent.png"}, "line 2: there is no file .*absent.png"),
        ({"mask": "absent.png"}, "line 2: there is no file .*absent.png"),
        ({"product": ""}, "line 2: product"),
    ],
)
def test_manifest_with_a_wrong_line_names_it(
    images: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    """The number of the line and what is wrong with it."""
    first = {"image": "image.png", "mask": "mask.png", "label": 1, "category": "nut"}
    line = first | {"product": "nut", "defect": "bent", "split": "test", "dataset": "mine"}
    shutil.copytree(images, tmp_path / "m")
    path = tmp_path / "m" / "list.jsonl"
    path.write_text(json.dumps(line) + "\n" + json.dumps(line | change) + "\n")
    with pytest.raises(DataLayoutError, match=message):
        read_manifest(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\n\n{broken\n", "line 3: .*JSON"),
        (b"[1, 2]\n", "line 1"),
        (b'{"image": "a.png"}\n', "line 1: mask: Field required"),
        (b"\n", "has no rows"),
        (b"\xff\xfe\x00", "no manifest"),
    ],
)
def test_manifest_that_is_none_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    """Whatever was in the file."""
    path = tmp_path / "list.jsonl"
    path.write_bytes(text)
    with pytest.raises(DataLayoutError, match=message):
        read_manifest(path)
    with pytest.raises(DataLayoutError, match="no manifest"):
        read_manifest(tmp_path / "absent.jsonl")


def test_manifest_written_by_hand_needs_no_name_of_the_defect(images: Path) -> None:
    """It is called a defect."""
    line = {"image": "image.png", "mask": None, "label": 1, "category": "nut", "product": "nut"}
    path = images / "hand.jsonl"
    path.write_text(json.dumps(line | {"defect": None, "split": "test", "dataset": "x"}))
    (row,) = read_manifest(path)
    assert (row.defect, row.has_pixel_truth) == ("defect", False)


def test_open_data_takes_manifest_and_folder_alike(
    prepared: list[ManifestRow], tmp_path: Path
) -> None:
    """Of both the test split; data that has none is refused."""
    write_manifest_rows(prepared, tmp_path / "list.jsonl")
    for path in (tmp_path / "list.jsonl", tmp_path / "mvtec"):
        assert open_data(path) == [r for r in prepared if r.split == "test"]
    write_manifest_rows([r for r in prepared if r.split == "train"], tmp_path / "list.jsonl")
    with pytest.raises(DataLayoutError, match="no images of split test"):
        open_data(tmp_path / "list.jsonl")


def test_sample_has_the_rows_names(prepared: list[ManifestRow]) -> None:
    """Spoken, and another product name if one is given, were it an empty one."""
    row = next(r for r in prepared if r.category == "metal_nut" and r.defect == "large_scratch")
    sample = read_sample(row)
    assert (sample.category, sample.product) == ("metal_nut", "metal nut")
    assert sample.defect == "large scratch"
    assert read_sample(row, product="nut").product == "nut"
    assert read_sample(row, product="").product == ""


def test_sample_with_a_mask_of_another_size_names_both(
    prepared: list[ManifestRow],
) -> None:
    """Neither is resized in silence."""
    row = next(r for r in prepared if r.mask is not None)
    assert row.mask is not None
    _png(row.mask, np.zeros((3, 5), dtype=np.uint8))
    with pytest.raises(
        DataLayoutError, match=r"mask .*_mask.png is \(3, 5\), .*0.png is \(48, 64\)"
    ):
        read_sample(row)


def test_sample_of_a_defect_that_is_not_marked_has_no_mask(prepared: list[ManifestRow]) -> None:
    """Whether nobody drew a mask or drew nothing in it; a normal image's mask is known to be empty."""
    row = next(r for r in prepared if r.mask is not None)
    assert row.mask is not None
    _png(row.mask, np.zeros((48, 64), dtype=np.uint8))
    for unmarked in (row, replace(row, mask=None)):
        sample = read_sample(unmarked)
        assert sample.mask is None
        assert sample.marked.shape == (48, 64)
        assert not sample.marked.any()
    normal = read_sample(next(r for r in prepared if not r.anomalous))
    assert normal.mask is not None
    assert not normal.mask.any()


def test_sample_that_is_no_picture_is_an_error(prepared: list[ManifestRow]) -> None:
    """The path is named."""
    prepared[0].image.write_bytes(b"none")
    with pytest.raises(DataLayoutError, match=f"{prepared[0].image.name} cannot be decoded"):
        read_sample(prepared[0])


def test_image_with_exif_rotation_is_upright(tmp_path: Path) -> None:
    """Orientation 6: the first row of the file is the right column of the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[0] = 200
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png")
    assert upright.shape == (6, 4, 3)
    assert (upright[:, 3] == 200).all()
    assert (upright[:, :3] == 0).all()


def test_image_of_16_bits_is_scaled_and_transparency_is_white(tmp_path: Path) -> None:
    """As the service reads them: darkest to 0, brightest to 255; what is see-through to white."""
    deep = _png(tmp_path / "deep.png", np.array([[1000, 2000, 3000]], dtype=np.uint16))
    assert read_image(deep)[0, :, 0].tolist() == [0, 128, 255]
    flat = _png(tmp_path / "flat.png", np.full((2, 2), 5000, dtype=np.uint16))
    assert (read_image(flat) == 128).all()
    clear = _png(tmp_path / "clear.png", np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], dtype=np.uint8))
    assert read_image(clear)[0, :, 0].tolist() == [255, 9]


def test_image_that_is_transparent_all_over_is_refused(tmp_path: Path) -> None:
    """As by the service: nothing would be learnt from a white sheet."""
    clear = _png(tmp_path / "clear.png", np.full((2, 2, 4), (9, 9, 9, 0), dtype=np.uint8))
    with pytest.raises(DataLayoutError, match=r"clear\.png is transparent"):
        read_image(clear)


def test_mask_of_16_bits_counts_any_value(tmp_path: Path) -> None:
    """Also one that eight bits would round to nothing."""
    mask = _png(tmp_path / "mask.png", np.array([[0, 1, 65535]], dtype=np.uint16))
    assert read_mask(mask).tolist() == [[False, True, True]]
