"""What is known of a data set before its files are read: how to list it, and how many images it should have.

Knows counts and rows; knows no folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.row import TEST, ManifestRow


@dataclass(frozen=True)
class Counts:
    """How many normal and anomalous images."""

    normal: int
    anomalous: int

    def __str__(self) -> str:
        return f"{self.normal} + {self.anomalous}"


@dataclass(frozen=True)
class Reference:
    """A published count of test images.

    Attributes:
        dataset: the name of the rows it is for.
        version: what was counted, `official test split`.
        test: the count.
    """

    dataset: str
    version: str
    test: Counts


@dataclass(frozen=True)
class DatasetLayout:
    """One data set, or one way to lay out images of one's own.

    Attributes:
        name: as the command line takes it.
        prepare: lists all images below a folder; raises `DataLayoutError`.
        references: published counts; empty where there are none.
    """

    name: str
    prepare: Callable[[Path], list[ManifestRow]]
    references: tuple[Reference, ...] = ()

    def complaint(self, rows: Sequence[ManifestRow]) -> str | None:
        """Say in one line how the test images differ in number from every published count; None if they do not.

        Args:
            rows: of every split.
        """
        names = {row.dataset for row in rows}
        known = [r for r in self.references if r.dataset in names]
        found = count(rows, TEST)
        if not known or any(r.test == found for r in known):
            return None
        expected = " or ".join(f"{r.test} ({r.version})" for r in known)
        return f"{known[0].dataset}: {found} test images (normal + anomalous), expected {expected}"


def count(rows: Sequence[ManifestRow], split: str) -> Counts:
    """Count the rows of a split."""
    labels = [row.anomalous for row in rows if row.split == split]
    return Counts(normal=labels.count(False), anomalous=labels.count(True))
