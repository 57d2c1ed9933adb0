"""The values passed around inside the generator. Knows shapes and names, draws nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""One value a pixel, float32 `[H, W]`."""

Image = NDArray[np.float32]
"""RGB in [0, 1], float32 `[H, W, 3]`."""


@dataclass(frozen=True, eq=False)
class Part:
    """One removable part of an object.

    Attributes:
        cover: coverage of the part in [0, 1], `[H, W]`.
        without: the scene before any such part was painted, `[H, W, 3]`.
    """

    cover: Field
    without: Image


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered surface or object before light falloff, lens and sensor.

    Attributes:
        image: lit albedo in [0, 1], `[H, W, 3]`.
        foreground: where defects may sit, in [0, 1], `[H, W]`; ones for textures.
        backdrop: what shows where the object's material is gone, `[H, W, 3]`.
        light_rad: direction the light comes from, for shading of dents and bumps.
        parts: removable parts, empty for most families.
    """

    image: Image
    foreground: Field
    backdrop: Image
    light_rad: float
    parts: tuple[Part, ...] = ()

    @property
    def size_px(self) -> int:
        """Return the side of the square image."""
        return int(self.image.shape[0])


@dataclass(frozen=True)
class Family:
    """One kind of product and how to render a normal one.

    Attributes:
        name: snake_case, the key in `FAMILIES`.
        product: as people say it.
        kind: `texture` or `object`.
        render: draws one normal scene.
        has_parts: every scene of this family has at least one removable part.
    """

    name: str
    product: str
    kind: str
    render: Callable[[np.random.Generator, int], Scene]
    has_parts: bool = False


@dataclass(frozen=True)
class Defect:
    """One kind of defect and how to apply it.

    Attributes:
        name: snake_case, the key in `DEFECTS`.
        spoken: as people say it.
        apply: `(rng, scene, difficulty)` to the altered image and its coverage in [0, 1].
        kinds: the family kinds it can occur on.
        needs_parts: only on families with removable parts.
    """

    name: str
    spoken: str
    apply: Callable[[np.random.Generator, Scene, float], tuple[Image, Field]]
    kinds: tuple[str, ...] = ("texture", "object")
    needs_parts: bool = False

    def fits(self, family: Family) -> bool:
        """Tell whether the defect can occur on the family."""
        return family.kind in self.kinds and (family.has_parts or not self.needs_parts)
