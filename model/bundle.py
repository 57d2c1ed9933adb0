"""The model bundle: one folder with all that serving needs, checked before any of it is used.

```
BundleError
├── BundleMissingError     no such folder, or a file the manifest names is not there
├── BundleSchemaError      bundle.json is not one we can read
└── BundleHashError        a file is not the one that was exported
```
Knows files and hashes; knows neither torch nor onnxruntime.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.config import SSVPConfig

SCHEMA_VERSION = 1
MANIFEST_FILE = "bundle.json"
CLIP_FILE = "clip.safetensors"
DINO_FILE = "dino.safetensors"
PROMPTS_FILE = "prompts.safetensors"
HEADS_FILE = "heads.onnx"
HALF_HEADS_FILE = "heads.fp16.onnx"
GOLDEN_FILE = "golden.png"
SHIPPED = Path(__file__).parent / "bundles"


def files_of(config: SSVPConfig) -> tuple[str, ...]:
    """Name the files that a model's bundle must have; one without a DINO tower has one file less."""
    towers = (CLIP_FILE, DINO_FILE) if config.uses_dino else (CLIP_FILE,)
    return (*towers, PROMPTS_FILE, HEADS_FILE, GOLDEN_FILE)


class BundleError(Exception):
    """A bundle cannot be used; the message is one line that says which and why."""


class BundleMissingError(BundleError):
    """The folder, or a file in it, does not exist."""


class BundleSchemaError(BundleError):
    """`bundle.json` is damaged, or of a schema this version does not know."""


class BundleHashError(BundleError):
    """A file's SHA-256 differs from the manifest's."""


@dataclass(frozen=True)
class GoldenRecord:
    """The score that `golden.png` had when the bundle was exported, and how far it may stray."""

    product: str
    score: float
    tolerance: float


@dataclass(frozen=True)
class Manifest:
    """`bundle.json`.

    Attributes:
        name: model name.
        version: bundle version.
        config: architecture and preprocessing.
        default_threshold: image-level decision threshold in [0, 1].
        map_threshold: map value from which a pixel counts as anomalous, in [0, 1].
        golden: see `GoldenRecord`.
        training: recipe, images, hours, hardware, as the training run recorded them.
        metrics: figures measured on the exported bundle, with the data set's name.
        files: SHA-256 of each file in hex.
    """

    name: str
    version: str
    config: SSVPConfig
    default_threshold: float
    map_threshold: float
    golden: GoldenRecord
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk.

    Attributes:
        digest: SHA-256 of `bundle.json`, which holds the hashes of all files: the bundle's identity.
    """

    path: Path
    manifest: Manifest
    digest: str

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files beside the manifest: those it must have, and the half-precision heads if any."""
        required = files_of(self.manifest.config)
        half = HALF_HEADS_FILE in self.manifest.files
        return (*required, HALF_HEADS_FILE) if half else required

    def file(self, name: str) -> Path:
        """Return the path of one of the bundle's files."""
        return self.path / name


def find_bundle(name_or_path: str) -> Path:
    """Return the folder of a bundle given by path, or by the name of one shipped with the package.

    Raises:
        BundleMissingError: when neither exists.
    """
    for candidate in (Path(name_or_path), SHIPPED / name_or_path):
        if (candidate / MANIFEST_FILE).is_file():
            return candidate
    raise BundleMissingError(
        f"bundle {name_or_path!r}: no folder with a {MANIFEST_FILE} of that name"
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`, last of all files, so that an unfinished export is no bundle."""
    values = {"schema_version": SCHEMA_VERSION, **asdict(manifest)}
    values["config"] = manifest.config.to_dict()
    (folder / MANIFEST_FILE).write_text(json.dumps(values, indent=2) + "\n")


def read_bundle(name_or_path: str) -> Bundle:
    """Find a bundle and check its schema and the hash of each file.

    Raises:
        BundleError: one of its leaves, with one line that says what is wrong.
    """
    bundle = open_bundle(name_or_path)
    for name in bundle.files:
        check_file(bundle, name)
    return bundle


def open_bundle(name_or_path: str) -> Bundle:
    """Find a bundle and read its manifest; its files are not looked at yet.

    Raises:
        BundleError: there is none, or its manifest cannot be read.
    """
    folder = find_bundle(name_or_path)
    digest = sha256(folder / MANIFEST_FILE)
    return Bundle(folder, _read_manifest(folder / MANIFEST_FILE), digest)


def check_file(bundle: Bundle, name: str) -> None:
    """Check that a file is the one that was exported.

    Raises:
        BundleError: it is not, or is not there.
    """
    folder, expected = bundle.path, bundle.manifest.files.get(name)
    if expected is None:
        raise BundleSchemaError(f"bundle {folder}: {MANIFEST_FILE} has no hash of {name}")
    if not bundle.file(name).is_file():
        raise BundleMissingError(f"bundle {folder}: {name} is missing")
    if (found := sha256(bundle.file(name))) != expected:
        raise BundleHashError(
            f"bundle {folder}: {name} has SHA-256 {found[:12]}..., the manifest says {expected[:12]}..."
        )


def _read_manifest(path: Path) -> Manifest:
    try:
        values = json.loads(path.read_text())
        version = values.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise BundleSchemaError(
                f"bundle {path.parent}: schema version {version}, this program reads {SCHEMA_VERSION}"
            )
        config = SSVPConfig.from_dict(values.pop("config"))
        golden = GoldenRecord(**values.pop("golden"))
        files = dict(values.pop("files"))
        manifest = Manifest(config=config, golden=golden, files=files, **values)
        _check_ranges(manifest)
        return manifest
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleSchemaError(
            f"bundle {path.parent}: {path.name} cannot be read: {error}"
        ) from None


def _check_ranges(manifest: Manifest) -> None:
    """Refuse numbers no score can be held against: a threshold of 50, or NaN, would pass every part."""
    for name, value in (
        ("default_threshold", manifest.default_threshold),
        ("map_threshold", manifest.map_threshold),
        ("golden.score", manifest.golden.score),
        ("golden.tolerance", manifest.golden.tolerance),
    ):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is {value}, not in [0, 1]")
