"""Every data set in miniature: what is listed, how it is read, and what is said when something is wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data.pixels import read_sample
from model.data.row import DataLayoutError, ManifestRow
from model.data.sets import SETS, Counts, DatasetLayout, Reference, count
from tests.miniature import DEFECT_AREA_PX, HEIGHT_PX, WIDTH_PX, WRITERS, Expected

Prepared = tuple[Path, Expected, list[ManifestRow]]


@pytest.fixture(params=sorted(WRITERS))
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Prepared:
    """One data set after another, written and listed."""
    root = tmp_path / request.param
    expected = WRITERS[request.param](root)
    return root, expected, SETS[request.param].prepare(root)


def _write(name: str, folder: Path) -> Path:
    root = folder / name
    WRITERS[name](root)
    return root


def _counts(rows: list[ManifestRow], split: str) -> dict[str, Counts]:
    categories = sorted({r.category for r in rows if r.split == split})
    return {c: count([r for r in rows if r.category == c], split) for c in categories}


def test_every_set_has_a_miniature() -> None:
    """So that none goes untested."""
    assert set(WRITERS) == set(SETS)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_miniature_is_the_same_every_time(name: str, tmp_path: Path) -> None:
    """Wherever it is written: whoever trains or measures on it gets the same numbers."""
    first, second = (_write(name, tmp_path / folder) for folder in "ab")
    files = [p for p in sorted(first.rglob("*")) if p.is_file()]
    assert files
    for path in files:
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


def test_set_lists_every_image_once_with_its_label(prepared: Prepared) -> None:
    """Counts of each category and split, its spoken name, the data set's name."""
    _, expected, rows = prepared
    assert _counts(rows, "test") == expected.test
    assert _counts(rows, "train") == expected.train
    assert {r.category: r.product for r in rows} == expected.products
    assert {r.dataset for r in rows} == {expected.dataset}
    assert len({r.image for r in rows}) == len(rows)


def test_set_rows_are_absolute_and_agree_with_themselves(prepared: Prepared) -> None:
    """Anomalous images, and only they, have a defect and a mask; paths work from any folder."""
    root, _, rows = prepared
    for row in rows:
        assert row.image.is_absolute()
        assert row.image.is_relative_to(root)
        assert (row.defect is not None) == (row.mask is not None) == row.anomalous
        assert row.has_pixel_truth


def test_set_masks_mark_the_defect_whatever_their_convention(prepared: Prepared) -> None:
    """0/1, 0/255, one bit, palette, colour and JPEG masks: as many pixels as were drawn, where it is bright."""
    for row in prepared[2]:
        sample = read_sample(row)
        assert sample.image.shape == (HEIGHT_PX, WIDTH_PX, 3)
        assert int(sample.marked.sum()) == (DEFECT_AREA_PX if row.anomalous else 0)
        if row.anomalous:
            grey = sample.image.mean(axis=2)
            assert grey[sample.marked].mean() > grey[~sample.marked].mean() + 60  # 90 were added
    assert {r.defect for r in prepared[2]} > {None}


@pytest.mark.parametrize("name", sorted(set(SETS) - {"folder"}))
def test_set_in_miniature_differs_from_the_published_count(name: str, tmp_path: Path) -> None:
    """Both numbers are named."""
    layout, root = SETS[name], _write(name, tmp_path)
    rows = layout.prepare(root)
    found, published = count(rows, "test"), layout.references[0].test
    complaint = layout.complaint(rows)
    assert complaint is not None
    assert f"{found.normal} + {found.anomalous}" in complaint
    assert f"{published.normal} + {published.anomalous}" in complaint


def test_set_with_a_published_count_is_not_complained_of(tmp_path: Path) -> None:
    """One of several is enough; other data sets' counts do not matter."""
    rows = SETS["btad"].prepare(_write("btad", tmp_path))
    few, right = Reference("btad", "a", Counts(1, 2)), Reference("btad", "b", Counts(9, 12))
    assert DatasetLayout("x", SETS["btad"].prepare, (few, right)).complaint(rows) is None
    other = Reference("mvtec", "a", Counts(1, 2))
    assert DatasetLayout("x", SETS["btad"].prepare, (other,)).complaint(rows) is None


@pytest.mark.parametrize("name", sorted(SETS))
def test_set_in_a_wrong_folder_is_one_line(name: str, tmp_path: Path) -> None:
    """Nothing there, or something else: the path is named."""
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(DataLayoutError) as caught:
            SETS[name].prepare(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)


def _unlink(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def _add_image(name: str) -> Callable[[Path], None]:
    def add(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(root / name)

    return add


def _rename(name: str, other: str) -> Callable[[Path], None]:
    def rename(root: Path) -> None:
        (root / name).rename(root / other)

    return rename


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("mvtec", _unlink("carpet/ground_truth/bent/000_mask.png"), "bent/000.png has no mask"),
        ("mvtec", _rename("carpet/test/good", "carpet/test/ok"), "no folder good"),
        ("mvtec", _add_image("carpet/test/000.png"), "000.png is unexpected"),
        ("mvtec", _add_image("carpet/train/bent/000.png"), "bent is unexpected"),
        ("mvtec", _add_image("carpet/validation/good/0.png"), "validation is unexpected"),
        ("mvtec", _add_image("runs/0.png"), "unexpected"),
        ("mvtec", lambda root: (root / "empty").mkdir(), "neither train nor test"),
        ("visa", _unlink("split_csv/1cls.csv"), "1cls.csv; expected VisA's one-class split"),
        ("visa", _unlink("pcb3/Data/Images/Normal/0001.JPG"), r"line 23: there is no file .*0001"),
        ("visa", _unlink("pcb3/Data/Masks/Anomaly/001.png"), r"line \d+: there is no file .*001"),
        ("btad", _unlink("03/ground_truth/ko/0001.bmp"), "ko/0001.bmp has no mask"),
        ("btad", _rename("03", "04"), "04 is no category; expected 01, 02, 03"),
        ("btad", _rename("03/test/ko", "03/test/scratch"), "only ok and ko"),
        ("ksdd2", _unlink("test/20001_GT.png"), "20001.png has no mask"),
        ("ksdd2", _rename("test", ".test"), "no folder .*test; expected images"),
        ("ksdd2", _rename("test", "validation"), "validation is unexpected"),
        ("rsdd", _unlink("Type-II RSDDs dataset/GroundTruth/rail_2.jpg"), "rail_2.jpg has no mask"),
        ("rsdd", _rename("Type-II RSDDs dataset", "other"), "does not say which type"),
        ("rsdd", _add_image("Type-I RSDDs dataset/crops/0.png"), "2 folders of images"),
        ("dagm", _rename("Class10", "other"), "other is no class"),
        ("dagm", _rename("Class10/Test/Label", "Class10/Labels"), "no folder Label"),
        ("dagm", _rename("Class10/Test", "Class10/Tests"), "no folder Test"),
        ("dagm", _unlink("Class10/Test/0005.PNG"), "0005_label.PNG labels no image"),
        ("dtd", _rename("Woven_001/test/bad", "Woven_001/test/cut"), "only good and bad"),
        ("folder", _rename("good", "Gut"), "no folder good"),
        ("folder", _add_image("0.png"), "0.png is unexpected"),
        ("folder", _unlink("ground_truth/dent/part 0_mask.png"), "part 0.jpeg has no mask"),
        ("folder", _rename("ground_truth/dent", "ground_truth/dents"), "dents is unexpected"),
    ],
)
def test_set_damaged_is_one_line_that_names_the_place(
    name: str, damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    """Nothing that is missing or too much goes by unseen."""
    root = _write(name, tmp_path)
    damage(root)
    with pytest.raises(DataLayoutError, match=message) as caught:
        SETS[name].prepare(root)
    assert str(root) in str(caught.value)


def test_mvtec_without_train_split_is_listed(tmp_path: Path) -> None:
    """Only the test split is needed; another name makes it another data set, without published counts."""
    root = _write("mvtec", tmp_path)
    for category in ("carpet", "metal_nut"):
        for image in (root / category / "train/good").iterdir():
            image.unlink()
        (root / category / "train/good").rmdir()
        (root / category / "train").rmdir()
    other = root.rename(tmp_path / "our_parts")
    rows = SETS["mvtec"].prepare(other)
    assert {(r.split, r.dataset) for r in rows} == {("test", "our_parts")}
    assert SETS["mvtec"].complaint(rows) is None


def test_one_category_is_told_apart_from_a_set(tmp_path: Path) -> None:
    """The message says which folder to name instead."""
    with pytest.raises(DataLayoutError, match="Name the folder above it"):
        SETS["mvtec"].prepare(_write("mvtec", tmp_path) / "carpet")


@pytest.mark.parametrize(
    ("name", "dataset", "product"),
    [
        ("visa", "visa", "chewing gum"),
        ("ksdd2", "ksdd2-crops", "metal surface"),
        ("rsdd", "rsdd-crops", "rail surface"),
        ("dagm", "dagm-balanced", "textured surface"),
    ],
)
def test_repackaged_sets_are_named_apart(
    name: str, dataset: str, product: str, tmp_path: Path
) -> None:
    """The field's versions in MVTec-AD's layout keep the spoken names, and are not mixed up with originals."""
    category = {"visa": "chewinggum", "dagm": "Class3"}.get(name, "crops")
    for image in ("test/good/0.png", "test/bad/1.png", "ground_truth/bad/1.png"):
        _add_image(f"{category}/{image}")(tmp_path)
    rows = SETS[name].prepare(tmp_path)
    assert {(r.dataset, r.product) for r in rows} == {(dataset, product)}
    assert count(rows, "test") == Counts(1, 1)


def test_visa_table_with_other_words_is_refused(tmp_path: Path) -> None:
    """A label that is neither of the two would otherwise become normal."""
    root = _write("visa", tmp_path)
    table = root / "split_csv/1cls.csv"
    table.write_text(table.read_text().replace("anomaly", "broken", 1))
    with pytest.raises(DataLayoutError, match=r"line 8: .*'broken'"):
        SETS["visa"].prepare(root)
    table.write_text("object,label\n")
    with pytest.raises(DataLayoutError, match="columns object, split"):
        SETS["visa"].prepare(root)


def test_own_folder_without_masks_has_image_labels_only(tmp_path: Path) -> None:
    """A defect without a folder of masks says so; the others keep theirs."""
    root = _write("folder", tmp_path)
    for mask in (root / "ground_truth/dent").iterdir():
        mask.unlink()
    (root / "ground_truth/dent").rmdir()
    rows = SETS["folder"].prepare(root)
    truth = {r.defect: r.has_pixel_truth for r in rows}
    assert truth == {None: True, "deep-scratch": True, "dent": False}
    dent = next(r for r in rows if r.defect == "dent")
    assert read_sample(dent).mask is None
    assert read_sample(dent).defect == "dent"
