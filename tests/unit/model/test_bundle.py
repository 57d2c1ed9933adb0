"""Reading a bundle: what is whole is accepted, anything else refused with one clear line."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.bundle import (
    DINO_FILE,
    HALF_HEADS_FILE,
    MANIFEST_FILE,
    SHIPPED,
    BundleError,
    BundleHashError,
    BundleMissingError,
    BundleSchemaError,
    GoldenRecord,
    Manifest,
    files_of,
    find_bundle,
    read_bundle,
    sha256,
    write_manifest,
)
from tests.configs import TINY_VIT

FILES = files_of(TINY_VIT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle whose files hold a few bytes each."""
    bundle = tmp_path / "tiny"
    bundle.mkdir()
    for name in FILES:
        (bundle / name).write_bytes(name.encode())
    write_manifest(
        bundle,
        Manifest(
            name="tiny",
            version="1.2.3",
            config=TINY_VIT,
            default_threshold=0.5,
            map_threshold=0.4,
            golden=GoldenRecord("nut", 0.7, 0.005),
            training={"images": 1},
            metrics={},
            files={name: sha256(bundle / name) for name in FILES},
        ),
    )
    return bundle


def test_a_written_bundle_is_read_back(folder: Path) -> None:
    """All of the manifest survives, config included."""
    bundle = read_bundle(str(folder))
    assert bundle.manifest.version == "1.2.3"
    assert bundle.manifest.config == TINY_VIT
    assert bundle.manifest.golden.score == 0.7
    assert bundle.file(FILES[0]).read_bytes() == FILES[0].encode()
    assert bundle.digest == sha256(folder / MANIFEST_FILE)


def test_heads_in_half_precision_belong_to_a_bundle_that_lists_them(folder: Path) -> None:
    """Then they are checked like the rest; a bundle without them is whole."""
    assert HALF_HEADS_FILE not in read_bundle(str(folder)).files
    (folder / HALF_HEADS_FILE).write_bytes(b"half")
    values = json.loads((folder / MANIFEST_FILE).read_text())
    values["files"][HALF_HEADS_FILE] = sha256(folder / HALF_HEADS_FILE)
    (folder / MANIFEST_FILE).write_text(json.dumps(values))
    assert set(read_bundle(str(folder)).files) == {*FILES, HALF_HEADS_FILE}
    (folder / HALF_HEADS_FILE).write_bytes(b"other")
    with pytest.raises(BundleHashError, match=HALF_HEADS_FILE):
        read_bundle(str(folder))


def test_a_bundle_has_files_of_these_names() -> None:
    """Bundles that are out there have them."""
    names = "clip.safetensors dino.safetensors prompts.safetensors heads.onnx golden.png"
    assert tuple(names.split()) == FILES
    assert HALF_HEADS_FILE == "heads.fp16.onnx"


def test_a_change_at_the_end_of_a_large_file_is_refused(folder: Path) -> None:
    """Towers have gigabytes: all of it is read, and SHA-256 as everybody computes it."""
    content = bytes(3_000_000)
    (folder / DINO_FILE).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    _edit(folder, lambda v: v["files"].update({DINO_FILE: digest}))
    read_bundle(str(folder))
    (folder / DINO_FILE).write_bytes(content[:-1] + b"x")
    with pytest.raises(BundleHashError, match=DINO_FILE):
        read_bundle(str(folder))
    (folder / DINO_FILE).write_bytes(content)
    _edit(folder, lambda v: v["files"].update({DINO_FILE: digest[:-1] + "g"}))
    with pytest.raises(BundleHashError, match=DINO_FILE):
        read_bundle(str(folder))


def test_a_bundle_of_this_schema_is_read_by_its_number(folder: Path) -> None:
    """The shipped bundles are of it: another number needs them exported anew."""
    assert json.loads((folder / MANIFEST_FILE).read_text())["schema_version"] == 1


def test_a_model_without_a_dino_tower_has_no_file_of_it() -> None:
    """One file less is asked for, so that its bundle is whole without."""
    alone = files_of(replace(TINY_VIT, fusion="none"))
    assert [name for name in FILES if name not in alone] == [DINO_FILE]


def test_a_folder_of_ones_own_comes_before_a_shipped_bundle_of_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named as a shipped one is, the folder at hand is taken; one that holds no bundle is passed over."""
    monkeypatch.chdir(folder.parent)
    Path("ssvp-nano").mkdir()
    assert find_bundle("ssvp-nano") == SHIPPED / "ssvp-nano"
    shutil.copytree(folder, "ssvp-nano", dirs_exist_ok=True)
    assert find_bundle("ssvp-nano") == Path("ssvp-nano")


def test_an_unknown_name_is_refused() -> None:
    """A bundle that is nowhere is reported by the name that was asked for."""
    with pytest.raises(BundleMissingError, match="no-such-bundle"):
        find_bundle("no-such-bundle")


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    """One changed byte in any file stops the start, and the line names the file."""
    (folder / name).write_bytes(b"changed")
    with pytest.raises(BundleHashError, match=name):
        read_bundle(str(folder))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    """A file the manifest names must be there."""
    (folder / name).unlink()
    with pytest.raises(BundleMissingError, match=name):
        read_bundle(str(folder))


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / MANIFEST_FILE).read_text())
    change(values)
    (folder / MANIFEST_FILE).write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda v: v.update(schema_version=99), "schema version 99"),
        (lambda v: v.pop("schema_version"), "schema_version"),
        (lambda v: v.pop("golden"), "golden"),
        (lambda v: v.pop("name"), "name"),
        (lambda v: v.update(colour="red"), "colour"),
        (lambda v: v["config"].update(gird=3), "gird"),
        (lambda v: v["files"].pop("heads.onnx"), "heads.onnx"),
        (lambda v: v.update(default_threshold=50), "default_threshold"),
        (lambda v: v.update(map_threshold=float("nan")), "map_threshold"),
        (lambda v: v["golden"].update(tolerance=-1), "tolerance"),
        (lambda v: v["golden"].update(score=1.1), "golden.score"),
        (lambda v: v.update(schema_version=0), "schema version 0"),
        (lambda v: v.update(files=[]), "no hash of"),
        (lambda v: v.update(files=None), "bundle.json cannot be read"),
    ],
)
def test_a_strange_manifest_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], word: str
) -> None:
    """Unknown schema versions and unknown or missing fields are refused by name."""
    _edit(folder, change)
    with pytest.raises(BundleSchemaError, match=word):
        read_bundle(str(folder))


@pytest.mark.parametrize("value", [0, 1])
def test_a_threshold_at_either_end_is_accepted(folder: Path, value: int) -> None:
    """A bundle may call everything anomalous, or nothing but certainty."""
    _edit(folder, lambda v: v.update(default_threshold=value, map_threshold=value))
    assert read_bundle(str(folder)).manifest.default_threshold == value


@pytest.mark.parametrize("text", ["", "not json", "[]", "null", '"text"'])
def test_a_manifest_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    """Damaged JSON gives one line, no traceback of another kind."""
    (folder / MANIFEST_FILE).write_text(text)
    with pytest.raises(BundleSchemaError) as caught:
        read_bundle(str(folder))
    assert "\n" not in str(caught.value)


def test_an_unfinished_export_is_no_bundle(folder: Path, tmp_path: Path) -> None:
    """Without its manifest, which is written last, a folder is not taken for a bundle."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / MANIFEST_FILE).unlink()
    with pytest.raises(BundleError):
        read_bundle(str(copy))
