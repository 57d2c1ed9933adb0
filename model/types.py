"""Values that cross module borders in the model. Knows shapes, no computation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its ground truth.

    Attributes:
        image: uint8 RGB `[H, W, 3]`.
        mask: bool `[H, W]`, True where the surface is defective; all False for a normal image.
        category: the data set's name of the object or surface, `brushed_metal`.
        product: the same as people say it, `brushed metal`; goes into the prompts.
        kind: `texture` or `object`.
        defect: the defect's spoken name, `scratch`; None for a normal image.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    category: str
    product: str
    kind: str
    defect: str | None


@dataclass(frozen=True, eq=False)
class SamplePair:
    """A normal and an anomalous image of the same scene, light and noise; only the defect differs."""

    normal: Sample
    anomalous: Sample
