"""Names of all families and defects, and which are never trained on. Draws nothing."""

from model.data.procedural import (
    defects_structure,
    defects_surface,
    objects_arrays,
    objects_composed,
    objects_electric,
    objects_goods,
    objects_metal,
    textures_fabric,
    textures_metal,
    textures_mineral,
)
from model.data.procedural.scene import Defect, Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for module in (
        textures_metal,
        textures_fabric,
        textures_mineral,
        objects_metal,
        objects_electric,
        objects_goods,
        objects_composed,
        objects_arrays,
    )
    for family in module.FAMILIES
}
DEFECTS: dict[str, Defect] = {
    defect.name: defect
    for module in (defects_surface, defects_structure)
    for defect in module.DEFECTS
}
HELD_OUT_FAMILIES = ("leather", "perforated_sheet", "terrazzo", "gear", "capsule")
HELD_OUT_DEFECTS = ("burn", "bump", "cut")
TRAIN_FAMILIES = tuple(name for name in FAMILIES if name not in HELD_OUT_FAMILIES)
TRAIN_DEFECTS = tuple(name for name in DEFECTS if name not in HELD_OUT_DEFECTS)
