"""The calibration tab: good parts in, a threshold tried, saved and undone."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route, expect

from app.settings import Settings
from tests.browser.conftest import Open
from tests.fakes import FakeRuntime, encode, grey
from tests.serving import in_thread

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


def _begin(page: Page) -> None:
    """Name a product and a rate that ten parts are enough for."""
    page.get_by_role("tab", name="Calibrate").click()
    page.locator("#cal-product").fill("nut")
    page.get_by_label("Good parts that may be rejected").fill("10")


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
        _begin(page)
        parts = [_upload(f"{level}.png", encode(grey(level))) for level in range(50, 64)]
        page.locator("#cal-files").set_input_files(parts)
        page.get_by_role("button", name="Save this threshold").click()
        expect(page.locator("#cal-saved")).to_contain_text("Not saved")
        expect(page.get_by_label("Products file")).to_be_visible()
        assert '"nut"' in page.get_by_label("Products file").input_value()
        expect(page.locator("#demo")).to_be_hidden()


def test_a_calibration_that_broke_off_says_so(opened: Open) -> None:
    """The service goes away in the middle: what was not inspected is counted, and why is still to be read."""
    runtime = FakeRuntime()
    settings = Settings(host="127.0.0.1", port=0)
    with (
        in_thread(settings, runtime) as url,
        opened(url, expected=("503 (Service", "422 (Unprocessable")) as watched,
    ):
        page = watched.page
        _begin(page)
        seen = 0

        def answer(route: Route) -> None:
            nonlocal seen
            seen += 1
            if seen <= 12:
                route.continue_()
                return
            problem = {"code": "queue_full", "detail": "full", "status": 503, "result_code": 2}
            route.fulfill(status=503, json=problem, content_type="application/problem+json")

        page.route("**/v1/detect*", answer)
        parts = [_upload(f"{i}.png", encode(grey(50 + i))) for i in range(20)]
        page.locator("#cal-files").set_input_files(parts)
        expect(page.locator("#cal-state")).to_contain_text("not inspected: add them again")
        expect(page.locator("#cal-state")).to_contain_text("12 good parts")
        expect(page.locator("#cal-problem")).to_contain_text("more to do than it can handle")


def test_parts_dropped_meanwhile_are_inspected_too_and_nothing_is_saved_before(
    opened: Open,
) -> None:
    """A second handful joins the first; what was proposed before cannot be saved while they are looked at."""
    runtime = FakeRuntime()
    settings = Settings(host="127.0.0.1", port=0)
    with in_thread(settings, runtime) as url, opened(url) as watched:
        page = watched.page
        _begin(page)
        save = page.get_by_role("button", name="Save this threshold")
        parts = [_upload(f"{i}.png", encode(grey(50 + i))) for i in range(30)]
        page.locator("#cal-files").set_input_files(parts[:10])
        expect(save).to_be_enabled()
        runtime.gate.clear()
        page.locator("#cal-files").set_input_files(parts[10:20])
        expect(save).to_be_disabled()
        page.locator("#cal-files").set_input_files(parts[20:])
        expect(page.locator("#cal-count")).to_contain_text("of 20 inspected")
        expect(save).to_be_disabled()
        runtime.gate.set()
        expect(page.locator("#cal-state")).to_contain_text("30 good parts")
        expect(save).to_be_enabled()
