"""The products file: read, watched, changed by one writer at a time, never half written.

Knows files; knows nothing of what a profile means. Readers see one immutable `ProductsFile` at any moment; for
every change the file is read anew, changed and put in place whole, under a lock that other processes respect.
"""

import contextlib
import fcntl
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.errors import StartError
from app.products.errors import ProductsReadOnlyError, ProductUnknownError, RollbackError
from app.products.profile import ProductHistory, ProductProfile, ProductsFile

logger = logging.getLogger(__name__)

MAX_PRODUCTS = 500  # each is a label of every metric by product
KEPT_VERSIONS = 50
NO_FILE = "SSVP_PRODUCTS_FILE is not set"
_Stamp = tuple[int, int, int]


class _BrokenError(Exception):
    """The file cannot be read; the message says why in one line."""


@dataclass(frozen=True)
class Saved:
    """What became of a new profile.

    Attributes:
        profile: with its own version.
        text: of the whole file with this profile in it.
        reason: why it was not written; None when it was.
    """

    profile: ProductProfile
    text: str
    reason: str | None


class ProductStore:
    """The products of one file. May be used by several threads at once.

    Args:
        path: the file; it need not exist yet. None: nothing is kept.

    Raises:
        StartError: there is a file and it cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        # Held for a whole reading or change: what is read must not come after what was written since.
        self._busy = threading.Lock()
        self._known = ProductsFile()
        try:
            self._load()
        except _BrokenError as error:
            raise StartError(f"products file: {error}") from None
        self._log_start()

    @property
    def file(self) -> ProductsFile:
        """What the file held when it was last read."""
        return self._known

    def refresh(self) -> None:
        """Read the file again if it has changed; a broken one is logged and what was known stays."""
        try:
            with self._busy:
                if self._path is None or self._stamp == self._stamp_now():
                    return
                self._load()
        except (OSError, _BrokenError) as error:
            logger.error("products file: %s; the profiles read before stay in use", error)
        else:
            logger.info("products file: %d products were read", len(self._known.products))

    def why_read_only(self) -> str | None:
        """Say why nothing can be saved; None where it can."""
        if self._path is None:
            return NO_FILE
        real = self._path.resolve()
        if not real.parent.is_dir():
            return f"{real.parent} is no folder"
        if not os.access(real.parent, os.W_OK) or (real.exists() and not os.access(real, os.W_OK)):
            return f"{self._path} cannot be written"
        return None

    def add(self, profile: ProductProfile, *, dry_run: bool = False) -> Saved:
        """Give a profile the next version, make it the one that decides, and save it where that is possible."""
        reason = "dry run" if dry_run else self.why_read_only()
        if reason is not None:
            return _unsaved(self._known, profile, reason)
        try:
            with self._changing():
                if len(self._known.products) >= MAX_PRODUCTS and not self._known.of(
                    profile.product
                ):
                    return _unsaved(
                        self._known, profile, f"{MAX_PRODUCTS} products are kept already"
                    )
                changed, numbered = _with_profile(self._known, profile)
                self._write(changed)
        except (OSError, _BrokenError) as error:
            logger.error("products file: not saved: %s", error)
            return _unsaved(self._known, profile, f"{self._path} cannot be written: {error}")
        return Saved(numbered, changed.text(), None)

    def rollback(self, product: str, version: int | None) -> ProductHistory:
        """Let another version decide; 0 is none of them, None the one that the current one replaced.

        Raises:
            ProductUnknownError: there is no such product or version.
            RollbackError: the version replaced none that is still kept.
            ProductsReadOnlyError: the file cannot be written.
        """
        if (reason := self.why_read_only()) is not None:
            raise ProductsReadOnlyError(reason)
        try:
            with self._changing():
                changed = _rolled_back(self.history(product), version)
                self._write(self._known.with_history(product, changed))
        except (OSError, _BrokenError) as error:
            raise ProductsReadOnlyError(f"{self._path} cannot be written: {error}") from None
        return changed

    def history(self, product: str) -> ProductHistory:
        """Return a product's history.

        Raises:
            ProductUnknownError: there is none.
        """
        if (found := self._known.of(product)) is None:
            raise ProductUnknownError(f"{product[:128]!a} has no profile")
        return found

    def _log_start(self) -> None:
        """Say what there is: with a wrong path the bundle's threshold would decide, and nobody would notice."""
        if self._path is None:
            return
        if self._stamp is not None:
            logger.info("products file: %d products were read", len(self._known.products))
        elif (reason := self.why_read_only()) is not None:
            logger.warning("products file: there is none, and none can be made: %s", reason)
        else:
            logger.info("products file: %s is not there yet", self._path)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock that all writers take, with what is on the disk now in hand."""
        assert self._path is not None  # noqa: S101
        real = self._path.resolve()
        with self._busy, real.with_name(f".{real.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released with the descriptor, by a crash too
            self._load()
            yield

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            stamp = self._stamp_now()
            text = "" if stamp is None else self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _BrokenError(f"{self._path} cannot be read: {error}") from None
        gone = stamp is None and self._stamp is not None
        self._stamp = stamp  # a broken file is complained of once
        if gone:
            raise _BrokenError(f"{self._path} has disappeared")
        if stamp is not None:
            self._known = _parsed(self._path, text)

    def _stamp_now(self) -> _Stamp | None:
        assert self._path is not None  # noqa: S101
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _write(self, changed: ProductsFile) -> None:
        assert self._path is not None  # noqa: S101
        real = self._path.resolve()
        descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(changed.text())
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(real.stat().st_mode & 0o777 if real.exists() else 0o644)
            Path(name).replace(real)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._known, self._stamp = changed, self._stamp_now()


def _parsed(path: Path, text: str) -> ProductsFile:
    try:
        return ProductsFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise _BrokenError(f"{path}: {where}: {first['msg']}") from None


def _with_profile(
    known: ProductsFile, profile: ProductProfile
) -> tuple[ProductsFile, ProductProfile]:
    before = known.of(profile.product) or ProductHistory(current=None, history=())
    numbered = profile.model_copy(
        update={"version": before.next_version, "replaces": before.current or 0}
    )
    kept = (*before.history, numbered)[-KEPT_VERSIONS:]
    changed = ProductHistory(current=numbered.version, history=kept)
    return known.with_history(profile.product, changed), numbered


def _unsaved(known: ProductsFile, profile: ProductProfile, reason: str) -> Saved:
    changed, numbered = _with_profile(known, profile)
    return Saved(numbered, changed.text(), reason)


def _rolled_back(found: ProductHistory, version: int | None) -> ProductHistory:
    versions = [profile.version for profile in found.history]
    if version is None:
        version = _before(found, versions)
    if version and version not in versions:
        raise ProductUnknownError(f"there is no version {version}; there are {versions}")
    return ProductHistory(current=version or None, history=found.history)


def _before(found: ProductHistory, versions: list[int]) -> int:
    """Return what the current version replaced; where that is not known (old files), the next lower one."""
    replaced = None if found.profile is None else found.profile.replaces
    if replaced in versions:
        return replaced
    earlier = [number for number in versions if number < (found.current or 0)]
    if replaced is not None or not earlier:  # the next lower one may have been rejected
        raise RollbackError(
            "this version replaced none that is kept; version 0 takes the bundle's threshold"
        )
    return earlier[-1]
