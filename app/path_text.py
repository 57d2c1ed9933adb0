"""Paths as people read them. Knows encodings; opens nothing."""

import os


def as_text(path: str | os.PathLike[str]) -> str:
    """Return a path as text: on a disk it is bytes, which may be of an encoding nobody knows."""
    return os.fsencode(path).decode("utf-8", "replace")
