"""The pictures beside a report: which are shown, and what they show."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.evaluate import ScoredImage
from model.pictures import HEIGHT_PX, WIDTH_LIMIT_PX, Gallery, draw_panel
from model.types import Sample
from tests.scored import sample_of, score


class _Links(HTMLParser):
    """Collect what a page loads, and its captions."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note every address."""
        for name, value in attrs:
            if name in ("src", "href") and value:
                (self.outside if "//" in value else self.sources).append(value)


def test_the_page_shows_the_mistakes_of_every_category(tmp_path: Path) -> None:
    """The highest-scored normal and the lowest-scored anomalous image are kept, whatever else is seen."""
    names = [f"{kind}/{number:03}.png" for number in range(40) for kind in ("good", "dent")]
    gallery = Gallery(per_category=3, names=names)
    for number in range(40):
        for defect in (None, "dent"):
            sample = sample_of("a<b", defect, 5 * number)
            gallery.add(sample, score([sample])[0])
    gallery.save(tmp_path, "nano on parts")
    page = (tmp_path / "pictures.html").read_text()
    links = _Links()
    links.feed(page)
    assert len(links.sources) == 3
    assert not links.outside
    assert "good/039.png: normal, score 0.765" in page  # 195 of 255
    assert "dent/000.png: dent, score 0.000" in page
    assert "a&lt;b" in page
    assert page.index("scored highest") < page.index("good/039") < page.index("scored lowest")
    for source in links.sources:
        with Image.open(tmp_path / source) as picture:
            assert picture.size[1] == HEIGHT_PX


def test_a_third_of_the_pictures_is_rounded_up(tmp_path: Path) -> None:
    """Of four, two a kind; they are saved in the colours of their images."""
    gallery = Gallery(per_category=4)
    for defect in (None, "dent"):
        for _ in range(3):
            sample = sample_of("nut", defect, 0)
            sample.image[..., 0] = 200
            gallery.add(sample, score([sample])[0])
    gallery.save(tmp_path, "a<b")
    assert "<title>a&lt;b</title>" in (tmp_path / "pictures.html").read_text()
    files = list((tmp_path / "pictures").iterdir())
    assert len(files) == 6
    with Image.open(files[0]) as picture:
        assert picture.getpixel((9, 200)) == pytest.approx((200, 0, 0), abs=5)


def test_other_pictures_are_a_fair_choice(tmp_path: Path) -> None:
    """Of six images that are no mistake each is shown as often as another, whenever it came."""
    gallery = Gallery(per_category=3)
    for category in range(150):
        for brightness in (255, 10, 20, 30, 40, 50, 60):
            sample = sample_of(f"nut {category}", None, brightness)
            gallery.add(sample, score([sample])[0])
    gallery.save(tmp_path, "nano on parts")
    page = (tmp_path / "pictures.html").read_text()
    shown = [page.count(f"score {b / 255:.3f}") for b in (10, 20, 30, 40, 50, 60)]
    assert sum(shown) == 150
    assert max(shown) < 40  # 25 expected, standard deviation 4.6
    assert min(shown) > 10


def test_a_panel_shows_image_mask_and_map(tmp_path: Path) -> None:
    """Three pictures of the image's shape: untouched, outlined in magenta, and hot where the map is."""
    sample = sample_of("nut", "dent", 100)
    panel = draw_panel(sample, score([sample])[0])
    width = panel.shape[1] // 3
    plain, outlined, overlay = (panel[:, i * width : (i + 1) * width] for i in range(3))
    assert (plain == 100).all()
    assert (outlined == (255, 0, 255)).all(axis=-1).any()
    top, bottom = overlay[20].mean(axis=0), overlay[-20].mean(axis=0)
    assert top[0] > top[2]
    assert bottom[2] > bottom[0]


@pytest.mark.parametrize("value", [1.0, 1.3])
def test_the_map_covers_half_the_image(value: float) -> None:
    """Half of grey 100 and half of turbo's last colour; what is above 1 looks like 1."""
    scored = ScoredImage(1.0, np.full((8, 8), value, dtype=np.float32))
    panel = draw_panel(sample_of("nut", None, 100), scored)
    assert panel[-1, -1].tolist() == pytest.approx([111, 52, 51], abs=2)


@pytest.mark.parametrize(("shape", "drawn"), [((1, 9000), (1, 1024)), ((9000, 1), (256, 1))])
def test_a_panel_of_a_line_is_a_line(shape: tuple[int, int], drawn: tuple[int, int]) -> None:
    """It does not shrink to nothing."""
    line = Sample(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.bool_), "x", "x", None)
    assert draw_panel(line, score([line])[0]).shape == (drawn[0], 3 * drawn[1], 3)


def test_a_panel_of_a_very_wide_image_stays_small() -> None:
    """A strip of steel sheet is drawn lower, not ten thousand pixels wide."""
    strip = Sample(
        np.zeros((20, 2000, 3), dtype=np.uint8),
        np.zeros((20, 2000), dtype=np.bool_),
        "steel",
        "steel",
        None,
    )
    panel = draw_panel(strip, score([strip])[0])
    assert panel.shape == (10, 3 * WIDTH_LIMIT_PX, 3)
