"""Images that a camera PC wrote and a PLC refers to.

Knows files below the allowed folders; tells nobody whether there are others.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from app.errors import BodyTooLargeError, ImagePathError


def read_image_file(path: str, roots: Sequence[Path], limit_bytes: int) -> bytes:
    """Read an image below one of the roots.

    Args:
        path: relative to a root, or absolute; roots are tried in order.
        roots: folders that may be read from, subfolders included.
        limit_bytes: largest file.

    Raises:
        ImagePathError: there is no such file in any root, or what is there is no plain file.
        BodyTooLargeError: the file is larger than the limit.
    """
    for root in roots:
        if (found := _inside(root, path)) is not None:
            return _read(found, limit_bytes)
    raise ImagePathError("there is no image at that path below the allowed folders")


def _inside(root: Path, path: str) -> Path | None:
    """Return the real path of a file, links followed, if it lies below the root."""
    try:
        real_root = root.resolve(strict=True)
        real = (real_root / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing; a null character; links in a circle
        return None
    return real if real.is_relative_to(real_root) and real.is_file() else None


def _read(path: Path, limit_bytes: int) -> bytes:
    # A link put there since the path was resolved is refused, a pipe put there is not waited for.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise ImagePathError("the image at that path cannot be read") from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - it is open already
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImagePathError("what is at that path is no plain file")
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise BodyTooLargeError(f"the file is larger than {limit_bytes} bytes")
    return data
