"""Which files a person means, and what a picture drawn of each is called.

Knows names, folders and patterns, and how a command that misses a file ends; opens nothing.
"""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from model.commands.complaints import FAILED, complain

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Pictures:
    """What was found.

    Attributes:
        files: in the order they were named; those of a folder or pattern by name, each once. What is missing
            keeps its place.
        missing: those among them that are not there, and folders without pictures.
    """

    files: list[Path]
    missing: list[Path]


def find_pictures(names: Sequence[str]) -> Pictures:
    """Find files by name, all pictures of folders and what is below them, and what patterns mean."""
    files: dict[Path, None] = {}
    missing: dict[Path, None] = {}
    for name in names:
        found = _named(name)
        if not found:
            missing[Path(name)] = None
        files.update(dict.fromkeys(found or [Path(name)]))
    return Pictures(list(files), list(missing))


def existing_pictures(names: Sequence[str]) -> list[Path]:
    """Find files as `find_pictures` does; if any is missing the command ends, with a line for each."""
    found = find_pictures(names)
    for file in found.missing:
        complain(f"{file}: {why_missing(file)}")
    if found.missing:
        raise typer.Exit(code=FAILED)
    return found.files


def why_missing(file: Path) -> str:
    """Say what is wrong with a name that means no picture."""
    return "no picture is in this folder" if file.is_dir() else "there is no such picture"


def _named(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if path.exists():
        return [path]
    return sorted(Path(p) for p in glob.glob(name, recursive=True) if Path(p).is_file())  # noqa: PTH207


def drawn_names(files: Sequence[Path], ending: str) -> dict[Path, Path]:
    """Name the heat map of each file, relative to the folder they are written to.

    Subfolders stay, as far as the files have some in common; `a.png` and `a.jpg` do not share a name.
    """
    real = {path: Path(os.path.abspath(path)) for path in files}  # noqa: PTH100 - links stay
    parents = [path.parent for path in real.values()]
    common = Path(os.path.commonpath(parents)) if parents else Path()
    plain = {path: found.relative_to(common) for path, found in real.items()}
    stems = [relative.with_suffix("") for relative in plain.values()]
    names = {}
    for path, relative in plain.items():
        stem = relative.with_suffix("")
        base = stem if stems.count(stem) == 1 else relative
        names[path] = base.with_name(f"{base.name}{ending}")
    return names
