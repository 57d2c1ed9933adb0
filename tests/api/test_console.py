"""The page's files: their headers, that they are whole, that their colours can be told apart."""

import re

import pytest

from app.api.routes.console import FOLDER, MEDIA_TYPES, read_assets
from tests.conftest import Service

pytestmark = pytest.mark.anyio

STYLE = (FOLDER / "style.css").read_text()
TEXT_PAIRS = [
    (ink, ground) for ground in ("page", "card", "sunk", "stage") for ink in ("ink", "soft")
] + [
    ("accent", "card"),
    ("accent", "page"),
    ("on-accent", "accent"),
    ("on-ok", "ok"),
    ("on-ng", "ng"),
    ("on-none", "none"),
    ("warn-ink", "warn-back"),
    ("bad-ink", "bad-back"),
]
# Edges of controls, focus and marks of charts: WCAG 1.4.11 asks 3.
SHAPE_PAIRS = [
    (shape, ground)
    for shape in ("control", "focus", "ok", "ng", "bars")
    for ground in ("card", "page", "sunk")
]


def _colours(selector: str) -> dict[str, str]:
    block = STYLE.split(selector + " {")[1].split("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    """Black on white is 21; #767676 on white is the grey known to be just enough."""
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", [":root", ':root[data-theme="dark"]'], ids=["light", "dark"])
def test_colours_can_be_told_apart(theme: str) -> None:
    """WCAG AA: 4.5 for text, 3 for shapes, in both themes."""
    colours = _colours(theme)
    weak = [
        (one, other, round(_contrast(colours[one], colours[other]), 2))
        for pairs, least in ((TEXT_PAIRS, 4.5), (SHAPE_PAIRS, 3.0))
        for one, other in pairs
        if _contrast(colours[one], colours[other]) < least
    ]
    assert weak == []


def test_both_themes_name_the_same_colours() -> None:
    """No colour of the light theme is left standing in the dark one."""
    assert _colours(":root").keys() == _colours(':root[data-theme="dark"]').keys()


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json"])
async def test_page_is_served_to_whoever_asks(service: Service, accept: str) -> None:
    """A PLC's `Accept` makes no difference, and the page lets nothing foreign in."""
    answer = await service.client.get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self'" in policy
    assert not any("unsafe" in part or "http" in part for part in policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_unchanged_file_is_not_sent_again(service: Service) -> None:
    """Browsers ask each time; the answer is 304 until the content changes."""
    first = await service.client.get("/console/app.js")
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    again = await service.client.get("/console/app.js", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await service.client.get("/console/app.js", headers={"If-None-Match": '"older"'})
    assert other.status_code == 200


async def test_every_file_the_page_names_is_served(service: Service) -> None:
    """Markup, styles and modules name only files that are there, all of them beside it."""
    named = set()
    for path in FOLDER.glob("*.html"):
        named |= set(re.findall(r'(?:src|href)="(?!#)([^"]+)"', path.read_text()))
    for path in FOLDER.glob("*.js"):
        named |= {f"console/{name}" for name in re.findall(r'from "\./([^"]+)"', path.read_text())}
    assert len(named) > 10
    for name in named:
        answer = await service.client.get(f"/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["content-type"] in MEDIA_TYPES.values()


@pytest.mark.parametrize("name", ["", "nothing.js", "../main.py", "%2e%2e/main.py", "/etc/passwd"])
async def test_what_is_not_of_the_page_is_404(service: Service, name: str) -> None:
    """No path leads out of the folder."""
    assert (await service.client.get(f"/console/{name}")).status_code == 404


def test_page_has_no_inline_script_and_makes_no_markup_of_text() -> None:
    """The policy forbids it; this says where."""
    markup = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", markup)
    for path in FOLDER.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(", path.read_text())


def test_every_error_of_the_service_has_plain_words() -> None:
    """The page knows each code that a caller of detect, calibrate or rollback can meet."""
    from app.errors import ServiceError

    words = (FOLDER / "problems.js").read_text()
    no_browsers = {"http_malformed", "headers_timeout", "headers_too_large"}
    others = {"client_gone", "image_path_unknown", *no_browsers}
    missing = {
        kind.code
        for kind in ServiceError.leaves()
        if kind.code not in others and f"\n  {kind.code}: [" not in words
    }
    assert missing == set()


def test_assets_are_what_the_folder_holds() -> None:
    """Nothing of the folder is left out for want of a media type."""
    files = {p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.is_file()}
    assert set(read_assets()) == files
