"""The calibration tab: good parts in, a threshold tried, saved and undone."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from app.settings import Settings
from tests.browser.conftest import Open, in_thread
from tests.fakes import FakeRuntime, encode, grey

SAMPLES = Path("app/console/samples")
HOLE = SAMPLES / "leather-hole.png"
GOOD = SAMPLES / "leather-good.png"


def _upload(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "image/png", "buffer": content}


def _good_parts(count: int) -> list[Any]:
    """Return the good sample under slightly different light."""
    pixels = np.asarray(Image.open(GOOD).convert("RGB"), dtype=np.int16)
    return [
        _upload(f"good {i:02d}.png", encode(np.clip(pixels + i, 0, 255).astype(np.uint8)))
        for i in range(count)
    ]


def test_threshold_from_good_parts_is_tried_saved_and_rolled_back(opened: Open) -> None:
    """Too few are refused with their number; a bad one is shown; what is saved decides; one click undoes."""
    with opened(expected=("422 (Unprocessable",)) as watched:
        page = watched.page
        page.get_by_role("tab", name="Calibrate").click()
        page.locator("#cal-product").fill("Test  Leather")
        page.get_by_label("Good parts that may be rejected").fill("1")
        expect(page.locator("#cal-needed")).to_contain_text("at least 99")
        parts = [*_good_parts(16), _upload("oops.png", HOLE.read_bytes())]
        page.locator("#cal-files").set_input_files(parts)
        expect(page.locator("#cal-problem")).to_contain_text("too few good parts")
        expect(page.get_by_role("button", name="Save this threshold")).to_be_disabled()
        page.get_by_label("Good parts that may be rejected").fill("10")
        expect(page.locator("#cal-odd")).to_contain_text("oops.png")
        watched.shoot("calibrate-odd")
        page.get_by_role("button", name="Leave it out").click()
        expect(page.locator("#cal-state")).to_contain_text("1 left out")
        expect(page.locator("#cal-sentence")).to_contain_text("at most 10 %")
        expect(page.locator("#cal-chart .limit")).to_have_count(1)
        page.get_by_role("button", name="Save this threshold").click()
        expect(page.locator("#cal-saved")).to_contain_text("Saved as version 1")
        expect(page.locator("#ver-note")).to_contain_text("Version 1 decides")
        assert '"schema_version"' in page.locator("#cal-json").input_value()
        watched.shoot("calibrate")
        page.get_by_role("tab", name="Inspect").click()
        page.locator("#product").fill("test leather")
        expect(page.locator("#product-note")).to_contain_text("Has its own threshold")
        page.locator("#files").set_input_files([HOLE])
        expect(page.locator("#details")).to_contain_text("profile, version 1")
        page.get_by_role("tab", name="Calibrate").click()
        page.get_by_role("button", name="Use none").click()
        expect(page.locator("#ver-note")).to_contain_text("No version is in use")
        page.get_by_role("button", name="Use version 1").click()
        expect(page.locator("#ver-note")).to_contain_text("Version 1 decides")


def test_profile_that_cannot_be_saved_is_text_to_copy(opened: Open) -> None:
    """Without a products file the page says so and shows what to put there."""
    runtime = FakeRuntime()
    settings = Settings(host="127.0.0.1", port=0)
    with in_thread(settings, runtime) as url, opened(url) as watched:
        page = watched.page
        page.get_by_role("tab", name="Calibrate").click()
        page.locator("#cal-product").fill("nut")
        page.get_by_label("Good parts that may be rejected").fill("10")
        parts = [_upload(f"{level}.png", encode(grey(level))) for level in range(50, 64)]
        page.locator("#cal-files").set_input_files(parts)
        page.get_by_role("button", name="Save this threshold").click()
        expect(page.locator("#cal-saved")).to_contain_text("Not saved")
        expect(page.get_by_label("Products file")).to_be_visible()
        assert '"nut"' in page.get_by_label("Products file").input_value()
        expect(page.locator("#demo")).to_be_hidden()
