"""What is in a folder, without litter: subfolders, images, and masks by the stem of their image.

Knows files and their names; knows no data set.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from model.data.row import DataLayoutError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_LITTER = frozenset({"__macosx", "$recycle.bin", "system volume information"})


def open_root(root: Path, expected: str) -> Path:
    """Return the absolute path of a data set's folder.

    Args:
        root: as somebody typed it.
        expected: what it should hold, for the message.

    Raises:
        DataLayoutError: it is no folder.
    """
    if not root.is_dir():
        raise DataLayoutError(f"{root} is no folder; expected {expected}")
    return root.resolve()


def list_folders(folder: Path) -> list[Path]:
    """List the subfolders by name, hidden ones left out."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not _is_litter(p))


def list_images(folder: Path) -> list[Path]:
    """List the images directly in a folder by name.

    Raises:
        DataLayoutError: there is none, or no such folder.
    """
    if not folder.is_dir():
        raise DataLayoutError(f"there is no folder {folder}; expected images in it")
    images = _images(folder)
    if not images:
        raise DataLayoutError(
            f"{folder} holds no image; expected {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return images


def holds_images(folder: Path) -> bool:
    """Say whether there is an image directly in a folder."""
    return bool(_images(folder))


def refuse_unknown(folder: Path, known: Collection[str], expected: str) -> None:
    """Raise `DataLayoutError` if a folder holds images, or subfolders other than the known ones."""
    strays = [p for p in list_folders(folder) if p.name not in known] + _images(folder)[:1]
    if strays:
        raise DataLayoutError(f"{strays[0]} is unexpected; {folder} should hold {expected}")


def child(folder: Path, name: str) -> Path | None:
    """Return the subfolder of that name, whatever its case; None if there is none."""
    matches = [p for p in list_folders(folder) if p.name.casefold() == name.casefold()]
    return matches[0] if matches else None


def index_masks(folder: Path | None) -> dict[str, Path]:
    """Map the lower-case stem of each image in a folder to its path; an absent folder has none."""
    if folder is None or not folder.is_dir():
        return {}
    return {p.stem.casefold(): p for p in _images(folder)}


def find_mask(masks: Mapping[str, Path], image: Path, endings: Collection[str]) -> Path | None:
    """Return the mask that has the image's stem with one of the endings, whatever its suffix and case."""
    stems = (f"{image.stem}{ending}".casefold() for ending in endings)
    return next((masks[stem] for stem in stems if stem in masks), None)


def _images(folder: Path) -> list[Path]:
    found = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    return sorted(p for p in found if not _is_litter(p))


def _is_litter(path: Path) -> bool:
    return path.name.startswith(".") or path.name.casefold() in _LITTER
