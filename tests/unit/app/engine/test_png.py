"""Our PNG files hold the pixels they were made from, for other readers than ours."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from app.engine.png import encode_png

SIDES = st.integers(1, 40)
SHAPES = st.one_of(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES, st.just(3)))


@given(pixels=SHAPES.flatmap(lambda shape: arrays.arrays(np.uint8, shape)))
def test_every_picture_comes_back_as_it_was(pixels: np.ndarray) -> None:
    """Pillow, which checks each chunk's sum, reads the very pixels, grey or RGB, of any size."""
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert image.format == "PNG"
        assert image.mode == ("L" if pixels.ndim == 2 else "RGB")
        assert np.array_equal(np.asarray(image), pixels)


def test_smooth_picture_is_compressed() -> None:
    """A ramp takes a small part of its raw size."""
    ramp = np.linspace(0, 255, 512 * 512).astype(np.uint8).reshape(512, 512)
    assert len(encode_png(ramp)) < ramp.nbytes / 20


@pytest.mark.parametrize("cut", [np.s_[:, ::2], np.s_[..., :3], np.s_[::-1, :, 1]], ids=str)
def test_strided_views_are_taken(cut: tuple[slice, ...]) -> None:
    """A picture that does not lie in one piece is encoded all the same."""
    view = np.random.default_rng(0).integers(0, 256, (5, 4, 4), dtype=np.uint8)[..., :3][cut]
    assert not view.flags.c_contiguous
    with Image.open(io.BytesIO(encode_png(view))) as image:
        assert np.array_equal(np.asarray(image), view)
