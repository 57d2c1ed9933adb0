"""The page as people use it: pictures in, a verdict to be read, thresholds tried, errors understood."""

import io
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.products.profile import product_key
from app.settings import Settings
from tests.browser.conftest import Open
from tests.fakes import FakeRuntime, encode, grey
from tests.serving import in_thread

SAMPLES = Path("app/console/samples")
HOLE = SAMPLES / "leather-hole.png"
GOOD = SAMPLES / "leather-good.png"


def _verdict(page: Page, word: str) -> None:
    expect(page.locator("#verdict-word")).to_have_text(word)


def _upload(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "image/png", "buffer": content}


def test_a_sample_is_inspected_with_one_click(opened: Open) -> None:
    """The defect is NG, large, outlined and under a heat map; the good part beside it is OK."""
    with opened() as watched:
        page = watched.page
        expect(page.locator("#service-text")).to_have_text(re.compile(r"Ready · model ssvp-nano"))
        expect(page.locator("#demo")).to_contain_text("your own good parts")
        watched.shoot("start")
        page.get_by_role("button", name="Leather, good").click()
        _verdict(page, "OK")
        page.get_by_role("button", name="Leather, hole").click()
        _verdict(page, "NG")
        expect(page.locator("#verdict-text")).to_contain_text("Reject this part")
        size = page.locator("#verdict-word").evaluate("e => e.getBoundingClientRect().height")
        assert size >= 100  # px: 26 mm on a desktop's screen, read from two metres
        expect(page.locator(".frame canvas")).to_be_visible()
        assert page.locator(".frame rect.over").count() >= 1
        tinted = page.locator(".frame canvas").evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height)"
            ".data.some((v, i) => i % 4 === 3 && v > 100)"
        )
        assert tinted
        expect(page.locator("#timing")).to_contain_text("Model")
        expect(page.locator("#history .mark-ng")).to_have_count(1)
        watched.shoot("verdict-light")
        page.locator("#opacity").fill("0")
        assert page.locator(".frame canvas").evaluate("c => c.style.opacity") == "0"
        page.get_by_label("Outline regions").uncheck()
        expect(page.locator(".frame svg")).to_be_hidden()


def test_the_interactive_documentation_needs_no_internet(opened: Open, service_url: str) -> None:
    """`/docs` unfolds a call and its examples; nothing comes from another host."""
    with opened(f"{service_url}/docs") as watched:
        watched.page.locator("#operations-inspection-detect_v1_detect_post button").first.click()
        expect(watched.page.get_by_role("button", name="Try it out")).to_be_visible()
        watched.shoot("docs")


def test_several_pictures_are_inspected_one_after_the_other(opened: Open) -> None:
    """Each gets its own row and verdict, and can be looked at again."""
    with opened() as watched:
        page = watched.page
        page.locator("#files").set_input_files([GOOD, HOLE])
        expect(page.locator("#list .badge.ok")).to_have_count(1)
        expect(page.locator("#list .badge.ng")).to_have_count(1)
        page.locator("#list button", has_text="leather-good.png").click()
        _verdict(page, "OK")
        page.locator("#list button", has_text="leather-hole.png").click()
        _verdict(page, "NG")


def test_slider_decides_anew_without_a_call(opened: Open) -> None:
    """NG becomes OK at a threshold above its score and back, with no request."""
    with opened() as watched:
        page = watched.page
        page.get_by_role("button", name="Leather, hole").click()
        _verdict(page, "NG")
        asked = watched.count("/v1/detect")
        page.locator("#threshold").fill("1")
        _verdict(page, "OK")
        expect(page.locator("#verdict-text")).to_contain_text("Try-out")
        expect(page.locator("#verdict-text")).to_contain_text("The service says NG")
        page.get_by_label("Threshold as a number").fill("0.2")
        page.get_by_label("Threshold as a number").press("Enter")
        _verdict(page, "NG")
        page.locator("#threshold").fill("1")
        _verdict(page, "OK")
        watched.shoot("slider")
        page.get_by_role("button", name="As the service decides").click()
        _verdict(page, "NG")
        assert watched.count("/v1/detect") == asked == 1


def test_what_is_no_picture_is_said_so(opened: Open) -> None:
    """The error stands in plain words with what to do, and nothing reads as a good part."""
    with opened(expected=("400 (Bad Request)",)) as watched:
        page = watched.page
        page.locator("#files").set_input_files([_upload("notes.png", b"dear line, ...")])
        _verdict(page, "No result")
        expect(page.locator("#problem")).to_contain_text("This file is not a picture.")
        expect(page.locator("#problem")).to_contain_text("Choose a PNG, JPEG")
        expect(page.locator("#verdict")).not_to_have_class(re.compile("ok"))
        watched.shoot("error")


def test_foreign_text_stays_text(opened: Open) -> None:
    """A file's name that looks like markup is shown as it is."""
    name = "<img src=x onerror=alert(1)>.png"
    with opened() as watched:
        watched.page.locator("#files").set_input_files([_upload(name, GOOD.read_bytes())])
        _verdict(watched.page, "OK")
        expect(watched.page.locator("#details")).to_contain_text(name)
        assert watched.page.locator("img[src=x]").count() == 0


def test_a_file_the_browser_cannot_show_comes_drawn(opened: Open) -> None:
    """A TIFF is inspected like any other, and shown as the service draws it."""
    buffer = io.BytesIO()
    Image.open(HOLE).save(buffer, format="TIFF")
    with opened() as watched:
        watched.page.locator("#files").set_input_files([_upload("part.tif", buffer.getvalue())])
        _verdict(watched.page, "NG")
        expect(watched.page.locator(".frame > img")).to_be_visible()
        expect(watched.page.locator("#stage-note")).to_contain_text("cannot show")
        listed = watched.page.locator("#list img")
        expect(listed).to_have_js_property("complete", value=True)
        assert listed.evaluate("image => image.naturalWidth") > 0


def test_products_are_told_apart_as_the_service_does(opened: Open, service_url: str) -> None:
    """Blanks, case and the encoding of accents make no other product; another accent does."""
    names = [
        " Metal  Nut ",
        "Café",
        "Cafe\u0301",
        "CAFÉ",
        "Cafe",
        "Straße",
        "ΚΑΠΆΚΙΟΣ",
        "Trụ",
        "tru\u0323",
    ]
    with opened() as watched:
        keys = watched.page.evaluate(
            f"names => import('{service_url}/console/dom.js').then(dom => names.map(dom.keyOf))",
            names,
        )
    assert keys == [product_key(name) for name in names]
    assert len(set(keys)) == 6


def test_camera_picture_is_inspected(opened: Open) -> None:
    """Chromium's test picture is taken, and has its verdict."""
    with opened() as watched:
        page = watched.page
        page.get_by_role("button", name="Camera", exact=True).click()
        expect(page.locator("#video")).not_to_have_js_property("videoWidth", 0)
        page.get_by_role("button", name="Take and inspect").click()
        expect(page.locator("#verdict-word")).to_have_text(re.compile("^(OK|NG)$"))
        page.get_by_role("button", name="Close camera").click()
        expect(page.locator("#video")).to_be_hidden()


def test_page_says_that_the_service_is_starting_and_when_it_is_ready(opened: Open) -> None:
    """While the model loads a picture has no result and a reason; afterwards the page knows by itself."""
    runtime, warm = FakeRuntime(), threading.Event()
    runtime.on_warm_up = lambda: warm.wait(60)
    settings = Settings(host="127.0.0.1", port=0)
    expected = ("503 (Service Unavailable)",)
    with in_thread(settings, runtime) as url, opened(url, expected=expected) as watched:
        page = watched.page
        try:
            expect(page.locator("#service-text")).to_contain_text("is starting")
            page.locator("#files").set_input_files([GOOD])
            _verdict(page, "No result")
            expect(page.locator("#problem")).to_contain_text("still starting")
            watched.shoot("starting")
        finally:
            warm.set()
        expect(page.locator("#service-text")).to_contain_text("Ready")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("#verdict-word")).to_have_text(re.compile("^(OK|NG)$"))


def test_key_is_asked_for_and_kept_in_the_tab_only(opened: Open, tmp_path: Path) -> None:
    """A wrong key is said to be wrong, the right one works, and only sessionStorage holds it."""
    (tmp_path / "keys").write_text("line3:0123456789abcdef\n")
    settings = Settings(host="127.0.0.1", port=0, api_keys_file=tmp_path / "keys")
    expected = ("401 (Unauthorized)", "403 (Forbidden)")
    with in_thread(settings, FakeRuntime()) as url, opened(url, expected=expected) as watched:
        page = watched.page
        expect(page.get_by_label("API key", exact=True)).to_be_focused()
        watched.shoot("key")
        page.keyboard.type("not the right one at all")
        page.keyboard.press("Enter")
        expect(page.locator("#key-note")).to_contain_text("not accepted")
        page.get_by_label("API key", exact=True).fill("0123456789abcdef")
        page.keyboard.press("Enter")
        expect(page.locator("#service-text")).to_contain_text("Ready · model fake")
        page.locator("#files").set_input_files([_upload("bright.png", encode(grey(200)))])
        _verdict(page, "NG")
        kept = page.evaluate(
            "[Object.values(sessionStorage), Object.values(localStorage), document.cookie]"
        )
        assert kept == [["0123456789abcdef"], [], ""]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_fits_a_phone(opened: Open, dark: bool) -> None:
    """At 390 px nothing is cut off or scrolls sideways, on either tab."""
    with opened(width=390, height=844, dark=dark) as watched:
        page = watched.page
        page.get_by_role("button", name="Leather, hole").click()
        _verdict(page, "NG")
        expect(page.locator(".frame canvas")).to_be_visible()
        verdict, frame = (page.locator(name).bounding_box() for name in ("#verdict", ".frame"))
        assert verdict is not None
        assert frame is not None
        assert verdict["y"] < frame["y"]
        assert frame["y"] < verdict["y"] + verdict["height"] + 80  # one below the other
        watched.shoot(f"phone-{'dark' if dark else 'light'}")
        for tab in ("Inspect", "Calibrate"):
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_follows_the_system_until_it_is_chosen(opened: Open) -> None:
    """A dark system gives a dark page; the switch is remembered."""
    with opened(dark=True) as watched:
        page = watched.page
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="Leather, hole").click()
        _verdict(page, "NG")
        expect(page.locator(".frame canvas")).to_be_visible()
        watched.shoot("verdict-dark")
        page.get_by_role("button", name="Light", exact=True).click()
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_keyboard_alone_inspects_and_decides(opened: Open) -> None:
    """Tab reaches a sample with its focus seen; Enter inspects it; single keys move, reset and explain."""
    with opened() as watched:
        page = watched.page
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.file") == HOLE.name:
                break
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        _verdict(page, "NG")
        page.keyboard.press("-")
        expect(page.locator("#threshold-reset")).to_be_enabled()
        page.keyboard.press("0")
        expect(page.locator("#threshold-reset")).to_be_disabled()
        page.keyboard.press("h")
        expect(page.locator("#opacity")).to_have_value("0")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        watched.shoot("help")
        page.keyboard.press("Escape")
        page.keyboard.press("2")
        expect(page.get_by_role("tab", name="Calibrate")).to_be_focused()
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("tab", name="Inspect")).to_be_focused()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("shape", [(800, 200), (1280, 720), (360, 640)], ids=str)
def test_what_lies_over_a_picture_lies_where_it_belongs(
    opened: Open, shape: tuple[int, int], width: int, height: int
) -> None:
    """Of pictures wider or taller than the screen likes, heat map and outlines cover exactly the picture."""
    pixels = np.full((shape[1], shape[0], 3), 40, dtype=np.uint8)
    pixels[-shape[1] // 8 :, -shape[0] // 8 :] = 255  # bright to the fake: anomalous
    settings = Settings(host="127.0.0.1", port=0, default_deadline_ms=60_000)
    with in_thread(settings, FakeRuntime()) as url, opened(url, width, height) as watched:
        page = watched.page
        page.locator("#files").set_input_files([_upload("wide.png", encode(pixels))])
        expect(page.locator(".frame canvas")).to_be_visible()
        boxes = page.locator(".frame").evaluate(
            "f => [f.querySelector('img'), f.querySelector('canvas'), f.querySelector('svg')]"
            ".map(e => e.getBoundingClientRect()).map(b => [b.x, b.y, b.width, b.height])"
        )
        assert boxes[0] == pytest.approx(boxes[1], abs=0.5)
        assert boxes[0] == pytest.approx(boxes[2], abs=0.5)
        assert boxes[0][2] / boxes[0][3] == pytest.approx(shape[0] / shape[1], rel=0.01)
        stage = page.locator("#stage").bounding_box()
        assert stage is not None
        assert boxes[0][0] >= stage["x"] - 1
        assert boxes[0][0] + boxes[0][2] <= stage["x"] + stage["width"] + 1
        watched.shoot(f"shape-{shape[0]}x{shape[1]}-{width}")
