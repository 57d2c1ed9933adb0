"""The products file: whole or untouched, read again when it changes, and never half believed."""

import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from app.errors import StartError
from app.products import store as store_module
from app.products.errors import ProductsReadOnlyError, ProductUnknownError, RollbackError
from app.products.profile import BundleIdentity, ProductProfile, ProductsFile
from app.products.store import KEPT_VERSIONS, NO_FILE, ProductStore

BUNDLE = BundleIdentity(name="b", version="1", digest="a" * 64)


def profile(product: str = "metal nut", threshold: float = 0.4) -> ProductProfile:
    """Return a profile that no store has numbered yet."""
    return ProductProfile(
        product=product,
        version=1,
        threshold=threshold,
        false_reject=0.05,
        n=19,
        interval=(0.0, 0.2),
        bundle=BUNDLE,
        created_at="2026-01-01T00:00:00+00:00",
        roi=None,
        quantiles=(0.2,),
        shares=(0.5, 0.5),
        warnings=(),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a products file will be."""
    return tmp_path / "products.json"


def test_a_saved_profile_is_read_by_the_next_process(path: Path) -> None:
    """Under its own version, in the documented form; blanks and case of the name do not matter."""
    saved = ProductStore(path).add(profile("Metal  Nut"))
    assert saved.reason is None
    assert path.read_text() == saved.text
    found = json.loads(saved.text)
    assert found["schema_version"] == 1
    assert found["products"]["metal nut"]["current"] == 1
    assert ProductStore(path).history(" METAL nut").profile == saved.profile
    assert [p.name for p in path.parent.iterdir() if p.suffix not in (".lock", ".json")] == []


def test_accents_name_one_product_however_they_are_encoded(path: Path) -> None:
    """The model takes both for one name, so one threshold decides; an old file may have either as its key."""
    composed, decomposed = "t\u00fcr", "tu\u0308r"
    kept = ProductStore(path)
    kept.add(profile("T\u00fcr"))
    assert kept.history(decomposed).current == 1
    assert kept.add(profile("TU\u0308R")).profile.version == 2
    text = path.read_text()
    path.write_text(text.replace(f'"{composed}": {{', f'"{decomposed}": {{'))
    assert path.read_text() != text
    assert ProductStore(path).history(composed).current == 2
    twice = json.loads(text)
    twice["products"][decomposed] = twice["products"][composed]
    path.write_text(json.dumps(twice))
    with pytest.raises(StartError, match="stands twice"):
        ProductStore(path)


def test_versions_count_on_and_can_be_gone_back_to(path: Path) -> None:
    """The one before, a given one, none at all; a new one still gets the next number."""
    kept = ProductStore(path)
    for threshold in (0.1, 0.2, 0.3):
        kept.add(profile(threshold=threshold))
    assert kept.rollback("metal nut", None).current == 2
    assert kept.rollback("metal nut", None).current == 1
    with pytest.raises(RollbackError, match="version 0"):
        kept.rollback("metal nut", None)
    assert kept.rollback("metal nut", 3).profile == profile(threshold=0.3).model_copy(
        update={"version": 3, "replaces": 2}
    )
    assert kept.rollback("metal nut", 0).profile is None
    assert kept.add(profile()).profile.version == 4
    with pytest.raises(ProductUnknownError, match="version 9"):
        kept.rollback("metal nut", 9)
    with pytest.raises(ProductUnknownError, match="cable"):
        kept.rollback("cable", None)


def test_a_version_that_was_rejected_does_not_come_back(path: Path) -> None:
    """The version before is the one that decided before, not the one with the next lower number."""
    kept = ProductStore(path)
    for threshold in (0.1, 0.9):
        kept.add(profile(threshold=threshold))
    kept.rollback("metal nut", None)
    assert kept.add(profile(threshold=0.2)).profile.replaces == 1
    assert kept.rollback("metal nut", None).current == 1
    kept.rollback("metal nut", 0)
    assert kept.add(profile(threshold=0.3)).profile.replaces == 0
    with pytest.raises(RollbackError, match="version 0"):
        kept.rollback("metal nut", None)


def test_no_other_version_stands_in_for_the_one_that_was_replaced(path: Path) -> None:
    """It may be forgotten while versions that were rejected are still kept; those do not come back."""
    kept = ProductStore(path)
    for _ in range(KEPT_VERSIONS):
        kept.add(profile(threshold=0.9))
    kept.rollback("metal nut", 1)
    assert kept.add(profile()).profile.replaces == 1
    with pytest.raises(RollbackError, match="version 0"):
        kept.rollback("metal nut", None)
    assert kept.history("metal nut").current == KEPT_VERSIONS + 1


def test_where_nothing_says_what_was_replaced_the_next_lower_version_is_taken(path: Path) -> None:
    """As in files of before."""
    kept = ProductStore(path)
    for _ in range(3):
        kept.add(profile())
    found = json.loads(path.read_text())
    versions = found["products"]["metal nut"]["history"]
    del versions[2]["replaces"]
    del versions[1]["replaces"]
    path.write_text(json.dumps(found))
    kept = ProductStore(path)
    assert kept.rollback("metal nut", None).current == 2
    assert kept.rollback("metal nut", None).current == 1


def test_old_versions_are_forgotten_in_the_end(path: Path) -> None:
    """A ConfigMap holds a megabyte."""
    kept = ProductStore(path)
    for _ in range(KEPT_VERSIONS + 3):
        kept.add(profile())
    versions = [found.version for found in kept.history("metal nut").history]
    assert versions == list(range(4, KEPT_VERSIONS + 4))


def test_a_dry_run_writes_nothing(path: Path) -> None:
    """But says what would be written."""
    saved = ProductStore(path).add(profile(), dry_run=True)
    assert saved.reason == "dry run"
    assert "metal nut" in saved.text
    assert not path.exists()


def test_without_a_file_nothing_is_kept() -> None:
    """The profile comes back all the same."""
    kept = ProductStore(None)
    assert kept.add(profile()).reason == NO_FILE
    assert kept.add(profile(), dry_run=True).reason == "dry run"
    assert kept.file.products == {}
    kept.refresh()
    with pytest.raises(ProductsReadOnlyError, match="SSVP_PRODUCTS_FILE"):
        kept.rollback("metal nut", 0)


def test_a_file_that_cannot_be_written_is_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ConfigMap: told beforehand by the system's rights."""
    ProductStore(path).add(profile())
    before = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    kept = ProductStore(path)
    saved = kept.add(profile(threshold=0.9))
    assert "cannot be written" in (saved.reason or "")
    assert saved.profile.version == 2
    with pytest.raises(ProductsReadOnlyError):
        kept.rollback("metal nut", 0)
    assert path.read_bytes() == before
    assert kept.history("metal nut").current == 1


def test_a_write_that_breaks_off_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other file beside it."""
    kept = ProductStore(path)
    kept.add(profile())
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in (kept.add(profile(threshold=0.9)).reason or "")
    assert path.read_bytes() == before
    assert kept.history("metal nut").current == 1
    assert {p.name for p in path.parent.iterdir()} == {path.name, f".{path.name}.lock"}


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Most likely a mount that was forgotten."""
    kept = ProductStore(tmp_path / "missing" / "products.json")
    assert "is no folder" in (kept.add(profile()).reason or "")


def test_a_change_on_the_disk_is_read(path: Path) -> None:
    """Another process' profile, a new ConfigMap behind a link."""
    reader = ProductStore(path)
    ProductStore(path).add(profile(threshold=0.1))
    reader.refresh()
    assert reader.history("metal nut").current == 1
    other = path.with_name("other.json")
    writer = ProductStore(other)
    writer.add(profile("cable"))
    linked = path.with_name("linked.json")
    linked.symlink_to(other)
    following = ProductStore(linked)
    linked.unlink()
    linked.symlink_to(path)
    following.refresh()
    assert list(following.file.products) == ["metal nut"]


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "another file"])
def test_a_change_of_the_same_size_is_read(path: Path, in_place: bool) -> None:
    """One digit in an editor, a millisecond later; or another file with the very time of the old one."""
    ProductStore(path).add(profile(threshold=0.41))
    kept = ProductStore(path)
    before = path.stat()
    changed = path if in_place else path.with_name("other.json")
    changed.write_text(path.read_text().replace("0.41", "0.42"))
    later_ns = before.st_mtime_ns + in_place * 10**6
    os.utime(changed, ns=(later_ns, later_ns))
    changed.replace(path)
    assert path.stat().st_size == before.st_size
    kept.refresh()
    found = kept.history("metal nut").profile
    assert found is not None
    assert found.threshold == 0.42


def test_a_file_behind_a_link_is_changed_where_it_lies(path: Path) -> None:
    """Whoever reads it there sees the change; the link stays one."""
    (path.parent / "elsewhere").mkdir()
    real = path.parent / "elsewhere" / "shared.json"
    ProductStore(real).add(profile())
    path.symlink_to(real)
    kept = ProductStore(path)
    kept.add(profile())
    kept.rollback("metal nut", 1)
    assert path.is_symlink()
    found = ProductStore(real).history("metal nut")
    assert (found.current, len(found.history)) == (1, 2)


def test_who_could_read_the_file_still_can(path: Path) -> None:
    """A new one is for everybody on the machine to read; an old one keeps its rights."""
    kept = ProductStore(path)
    kept.add(profile())
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o660)
    kept.add(profile())
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_slow_reading_does_not_undo_a_change_made_meanwhile(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before the change must not come after it, or yesterday's threshold decides again."""
    kept = ProductStore(path)
    ProductStore(path).add(profile())
    reading, go_on, parsed = threading.Event(), threading.Event(), store_module._parsed

    def slowly(where: Path, text: str) -> ProductsFile:
        if not reading.is_set():
            reading.set()
            go_on.wait(10)
        return parsed(where, text)

    monkeypatch.setattr(store_module, "_parsed", slowly)
    with ThreadPoolExecutor(2) as pool:
        refreshed = pool.submit(kept.refresh)
        assert reading.wait(10)
        added = pool.submit(kept.add, profile(threshold=0.1))
        wait([added], timeout=0.2)  # it comes to an end only where nothing makes it wait
        go_on.set()
        refreshed.result()
        assert added.result().profile.version == 2
    assert kept.history("metal nut").current == 2


BROKEN = [
    "",
    "{",
    "[]",
    '{"schema_version": 2, "products": {}}',
    '{"schema_version": 1, "products": {"a": {"current": 1, "history": []}}}',
    '{"schema_version": 1, "products": {"A": {"current": null, "history": []}}}',
    '{"schema_version": 1, "product": {}}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_stops_the_start_with_one_line(path: Path, text: str) -> None:
    """Rather than deciding by other thresholds than yesterday's."""
    path.write_text(text)
    with pytest.raises(StartError, match=r"^products file: .*products\.json: [^\n]+$"):
        ProductStore(path)


@pytest.mark.parametrize(
    ("part", "changed", "complaint"),
    [
        ("current", 3, "no version 3"),
        ("history", [2, 1], "versions must ascend"),
        ("history", [1, 1], "versions must ascend"),
        ("shares", [0.5, 0.4], "1 in sum"),
        ("shares", [1.0], "one more than quantiles"),
        ("quantiles", [0.4, 0.2], "ascending"),
        ("product", "cable", "is not the key"),
    ],
)
def test_a_file_whose_parts_disagree_is_refused(
    path: Path, part: str, changed: object, complaint: str
) -> None:
    """Edited by hand, it could decide by a version nobody means, or watch for drift in bins that are none."""
    kept = ProductStore(path)
    for _ in range(2):
        kept.add(profile())
    found = json.loads(path.read_text())
    nut = found["products"]["metal nut"]
    if part == "current":
        nut["current"] = changed
    elif isinstance(changed, list) and part == "history":
        for version, number in zip(nut["history"], changed, strict=True):
            version["version"] = number
        nut["current"] = 1
    else:
        nut["history"][0][part] = changed
        if part == "quantiles":
            nut["history"][0]["shares"] = [0.25, 0.25, 0.5]
    path.write_text(json.dumps(found))
    with pytest.raises(StartError, match=complaint):
        ProductStore(path)


@pytest.mark.parametrize("value", ["NaN", "1.5", "-0.1", '"x"', "null"])
def test_a_threshold_no_score_can_be_held_against_is_refused(path: Path, value: str) -> None:
    """NaN or 1.5 would pass every part."""
    ProductStore(path).add(profile(threshold=0.4321))
    path.write_text(path.read_text().replace("0.4321", value))
    with pytest.raises(StartError, match="threshold"):
        ProductStore(path)


def test_the_log_says_at_the_start_what_there_is(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a wrong path every product would have the bundle's threshold, and nobody would know."""
    caplog.set_level(logging.INFO)
    ProductStore(None)
    assert not caplog.records
    ProductStore(path).add(profile())
    ProductStore(path)
    ProductStore(tmp_path / "nowhere" / "products.json")
    first, second, third = caplog.records
    assert "is not there yet" in first.message
    assert "1 products were read" in second.message
    assert third.levelno == logging.WARNING
    assert "nowhere is no folder" in third.message


def test_later_a_broken_file_is_logged_once_and_changes_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So is one that disappears; the mended one is read."""
    kept = ProductStore(path)
    text = kept.add(profile()).text
    caplog.set_level(logging.ERROR)
    path.write_text("{")
    kept.refresh()
    kept.refresh()
    assert len(caplog.records) == 1
    assert kept.add(profile()).reason is not None  # it would be overwritten
    path.unlink()
    kept.refresh()
    assert "disappeared" in caplog.text
    assert kept.history("metal nut").current == 1
    path.write_text(text.replace("0.4", "0.41"))
    kept.refresh()
    found = kept.history("metal nut").profile
    assert found is not None
    assert found.threshold == 0.41


def test_two_writers_lose_nothing(path: Path) -> None:
    """Each change is made to what is on the disk then, one at a time."""
    stores = [ProductStore(path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(lambda s: s.add(profile(f"p{stores.index(s)}")), stores))
    found = ProductStore(path).file
    assert {key: history.current for key, history in found.products.items()} == {
        f"p{i}": 5 for i in range(4)
    }


def test_the_number_of_products_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a label of metrics; known ones can still be calibrated again."""
    monkeypatch.setattr(store_module, "MAX_PRODUCTS", 2)
    kept = ProductStore(path)
    for name in ("a", "b"):
        kept.add(profile(name))
    assert "2 products" in (kept.add(profile("c")).reason or "")
    assert kept.add(profile("b")).reason is None
