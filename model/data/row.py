"""One image of a data set, as a manifest lists it. Knows paths and names; opens no file."""

from dataclasses import dataclass
from pathlib import Path

TRAIN, TEST = "train", "test"
PROCEDURAL = "procedural"  # in place of a manifest's path: images drawn by `model.data.procedural`
UNNAMED_DEFECT = "defect"  # where a data set says that something is wrong, but not what


class DataLayoutError(Exception):
    """A data set is not laid out as expected; the message is one line with the path and what was expected."""


@dataclass(frozen=True)
class ManifestRow:
    """One image with what is known of it.

    Attributes:
        image: absolute path.
        mask: absolute path of the ground truth; None for a normal image, and for an anomalous one of
            which nobody drew a mask.
        anomalous: the image-level label.
        category: the data set's name of the object or surface, `metal_nut`.
        product: the same as people say it, `metal nut`.
        defect: the data set's name of the defect, `broken_large`; None exactly for a normal image.
        split: `train` or `test`.
        dataset: the data set's name; a repackaged version has a name of its own, `ksdd2-crops`.
    """

    image: Path
    mask: Path | None
    anomalous: bool
    category: str
    product: str
    defect: str | None
    split: str
    dataset: str

    @property
    def has_pixel_truth(self) -> bool:
        """Whether it is known which pixels are defective: not for an anomalous image without a mask."""
        return not self.anomalous or self.mask is not None


def spoken(name: str) -> str:
    """Return a folder's name the way people say it: underscores and hyphens become blanks."""
    return " ".join(name.replace("_", " ").replace("-", " ").split())
