"""The generator's promises: same seed same pixels, twins that differ only inside a true mask."""

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.procedural import (
    DEFECTS,
    FAMILIES,
    HELD_OUT_DEFECTS,
    HELD_OUT_FAMILIES,
    TRAIN_DEFECTS,
    TRAIN_FAMILIES,
    generate_pair,
)
from model.data.procedural.pair import MAX_AREA, MIN_AREA, edge_px
from model.data.procedural.sheet import contact_sheet, defect_sheet
from model.types import SamplePair

_SIZE = 64


def _digest(pair: SamplePair) -> str:
    arrays = (pair.normal.image, pair.anomalous.image, pair.anomalous.marked)
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def digest_of_twelve() -> str:
    """Digest pairs of twelve seeds; also called in a fresh interpreter."""
    pairs = (generate_pair(seed, 96, tuple(FAMILIES), tuple(DEFECTS)) for seed in range(12))
    return "".join(_digest(pair) for pair in pairs)


def _away(mask: NDArray[np.bool_], distance_px: int) -> NDArray[np.bool_]:
    side = 2 * distance_px + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) == 0)


def _change(pair: SamplePair) -> NDArray[np.uint8]:
    return np.asarray(cv2.absdiff(pair.normal.image, pair.anomalous.image).max(axis=2))


def _assert_true_mask(pair: SamplePair) -> None:
    mask, change = pair.anomalous.marked, _change(pair)
    away = _away(mask, edge_px(len(mask)))
    assert not pair.normal.marked.any()
    assert MIN_AREA <= mask.mean() <= MAX_AREA
    assert change[away].max(initial=0) == 0
    assert change[mask].mean() > 2
    assert change[mask].mean() > change[~mask].mean()


@pytest.mark.parametrize("size_px", [64, 128, 256])
def test_generate_pair_same_seed_gives_same_pixels(size_px: int) -> None:
    """A repeated call returns the very same bytes, in the size asked for."""
    first = generate_pair(11, size_px, TRAIN_FAMILIES, TRAIN_DEFECTS)
    second = generate_pair(11, size_px, TRAIN_FAMILIES, TRAIN_DEFECTS)
    assert first.normal.image.shape == (size_px, size_px, 3)
    assert first.anomalous.marked.shape == (size_px, size_px)
    assert first.normal.image.dtype == np.uint8
    assert first.anomalous.marked.dtype == np.bool_
    assert _digest(first) == _digest(second)


def test_generate_pair_other_process_gives_same_pixels() -> None:
    """A fresh interpreter renders the same bytes, so a seed names an image everywhere."""
    code = "from tests.unit.model.data import test_procedural as t; print(t.digest_of_twelve())"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == digest_of_twelve()


def test_generate_pair_other_seeds_give_other_pixels() -> None:
    """Forty seeds give forty different pairs."""
    digests = {_digest(generate_pair(s, _SIZE, TRAIN_FAMILIES, TRAIN_DEFECTS)) for s in range(40)}
    assert len(digests) == 40


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_mask_every_family_marks_the_only_difference(family: str) -> None:
    """Twins of every family are equal away from the mask and differ inside it."""
    for seed in range(5):
        pair = generate_pair(seed, _SIZE, (family,), tuple(DEFECTS))
        assert pair.normal.category == family
        assert pair.normal.defect is None
        _assert_true_mask(pair)


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_mask_every_defect_marks_the_only_difference(defect: str) -> None:
    """Twins of every defect are equal away from the mask, differ inside, and carry its name."""
    fitting = tuple(f.name for f in FAMILIES.values() if DEFECTS[defect].fits(f))
    for seed in range(6):
        pair = generate_pair(seed, 96, fitting, (defect,))
        assert pair.anomalous.defect == DEFECTS[defect].spoken
        _assert_true_mask(pair)


def test_mask_large_images_marks_the_only_difference() -> None:
    """The promise holds at the largest training size too."""
    for seed in range(100, 112):
        _assert_true_mask(generate_pair(seed, 256, tuple(FAMILIES), tuple(DEFECTS)))


def test_edge_grows_with_the_image() -> None:
    """Three pixels up to 256 px, six at 512: the lens blurs a part's edge further than three there."""
    assert [edge_px(s) for s in (64, 128, 256, 512)] == [3, 3, 3, 6]
    pair = generate_pair(2, 512, TRAIN_FAMILIES, TRAIN_DEFECTS)
    change, mask = _change(pair), pair.anomalous.marked
    assert change[_away(mask, 3)].max() > 0
    assert change[_away(mask, 6)].max() == 0


def test_held_out_names_never_trained_on() -> None:
    """Five families and three defects are held out; together with training they are all."""
    assert not set(TRAIN_FAMILIES) & set(HELD_OUT_FAMILIES)
    assert not set(TRAIN_DEFECTS) & set(HELD_OUT_DEFECTS)
    assert {*TRAIN_FAMILIES, *HELD_OUT_FAMILIES} == set(FAMILIES)
    assert {*TRAIN_DEFECTS, *HELD_OUT_DEFECTS} == set(DEFECTS)
    kinds = sorted(FAMILIES[name].kind for name in HELD_OUT_FAMILIES)
    assert kinds == ["object", "object", "texture", "texture", "texture"]
    assert len(HELD_OUT_DEFECTS) == 3


def test_held_out_families_can_show_held_out_defects() -> None:
    """Every held-out family takes every held-out defect."""
    for family in HELD_OUT_FAMILIES:
        assert all(DEFECTS[name].fits(FAMILIES[family]) for name in HELD_OUT_DEFECTS)


def test_generate_pair_defect_that_does_not_fit_raises() -> None:
    """A texture has no part to miss."""
    with pytest.raises(ValueError, match="can occur on wood"):
        generate_pair(0, _SIZE, ("wood",), ("missing_part", "broken_edge"))


def test_families_normal_images_vary_within_each() -> None:
    """Normal images of one family differ from one another in their grey histogram."""
    for family in FAMILIES:
        images = [
            generate_pair(seed, _SIZE, (family,), ("hole",)).normal.image for seed in range(4)
        ]
        means = [float(image.mean()) for image in images]
        assert np.std(means) > 1.0, family


def test_scenes_every_family_keeps_its_promises() -> None:
    """Scenes are finite, within [0, 1], have a foreground, and parts where declared."""
    for family in FAMILIES.values():
        for seed in range(3):
            scene = family.render(np.random.default_rng(seed), _SIZE)
            assert scene.image.dtype == np.float32
            assert scene.image.shape == (_SIZE, _SIZE, 3)
            assert float(scene.image.min()) >= 0
            assert float(scene.image.max()) <= 1
            assert np.isfinite(scene.image).all()
            assert float(scene.foreground.mean()) > 0.02
            assert bool(scene.parts) == family.has_parts


def test_grey_share_about_as_stated() -> None:
    """Between a quarter and two thirds of the pairs are grey (45 % of 60, four deviations)."""
    pairs = [generate_pair(seed, _SIZE, TRAIN_FAMILIES, TRAIN_DEFECTS) for seed in range(60)]
    grey = [bool((np.ptp(pair.normal.image, axis=2) == 0).all()) for pair in pairs]
    assert 0.19 < np.mean(grey) < 0.71


def test_sheets_show_every_family_and_defect() -> None:
    """A sheet is as large as its strips: three images wide a column, enough rows for all."""
    families, defects = contact_sheet(0, 32, 4), defect_sheet(0, 32, 4)
    strip_height, strip_width = 32 + 16, 3 * 32 + 4
    assert families.shape == (-(-len(FAMILIES) // 4) * strip_height, 4 * strip_width, 3)
    assert defects.shape == (-(-len(DEFECTS) // 4) * strip_height, 4 * strip_width, 3)
