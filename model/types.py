"""Values that cross module borders in the model. Knows shapes, no computation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its ground truth.

    Attributes:
        image: uint8 RGB `[H, W, 3]`.
        mask: bool `[H, W]`, True where the surface is defective; all False for a normal image. None for an
            anomalous image of which that is not known.
        category: the data set's name of the object or surface, `brushed_metal`.
        product: the same as people say it, `brushed metal`; goes into the prompts.
        defect: the defect's spoken name, `scratch`; None for a normal image.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    category: str
    product: str
    defect: str | None

    @property
    def marked(self) -> NDArray[np.bool_]:
        """The mask; all False where there is none."""
        return np.zeros(self.image.shape[:2], dtype=np.bool_) if self.mask is None else self.mask


@dataclass(frozen=True, eq=False)
class SamplePair:
    """A normal and an anomalous image of the same scene, light and noise; only the defect differs."""

    normal: Sample
    anomalous: Sample
