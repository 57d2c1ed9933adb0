"""The rows of each table: what is changed in the model or its recipe, and where the paper's figures stand.

Knows configs and labels; runs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from model.config import SSVPConfig

PARTS = {"fusion": "none", "refine_prompts": False, "gate_experts": False}


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    Attributes:
        label: as the table names it, here and in the paper.
        changes: fields of the config.
        losses: fields of the loss weights.
        towers: folder of other towers than the base model's, beside them; None for the same.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, Any] = field(default_factory=dict)
    towers: str | None = None

    def config(self, base: SSVPConfig) -> SSVPConfig:
        """Apply the changes to a base config."""
        return replace(base, **self.changes)


FULL = Variant("SSVP")
LINEAR = Variant("linear head on DINO", {"heads": "linear", "rarity_experts": False})
STATIC = Variant("static prompts", {"heads": "static"})  # its config is `static_config`'s

MODULES = (
    Variant("A baseline (Bayes-PFL)", {**PARTS, "rarity_experts": False}),
    Variant("B", {**PARTS, "rarity_experts": False, "fusion": "concat"}),
    Variant("C", {**PARTS, "rarity_experts": False, "fusion": "atf"}),
    Variant("D", {"rarity_experts": False, "gate_experts": False}),
    Variant("E full", {"rarity_experts": False}),
)
ALIGNMENT = (Variant("identity", {"refine_prompts": False}), Variant("full"))
TOWERS = (  # all at the base model's blocks: only the tower differs from row to row
    Variant(
        "MAE ViT-L",
        {"dino_model": "vit_large_patch16_224", "dino_weights": "mae"},
        towers="mae-l",
    ),
    Variant(
        "DINOv2 ViT-L",
        {"dino_size_px": 518, "dino_model": "vit_large_patch14_dinov2", "dino_weights": "lvd142m"},
        towers="dinov2-l",
    ),
    # The paper counts 29 M parameters: Meta's ViT-S+, its ViT-S has 22.
    Variant(
        "DINOv3 ViT-S", {"dino_model": "vit_small_plus_patch16_dinov3"}, towers="dinov3-s-plus"
    ),
    Variant("DINOv3 ViT-B", {"dino_model": "vit_base_patch16_dinov3"}, towers="dinov3-b"),
    Variant("DINOv3 ViT-L"),
)
GAMMAS = tuple(Variant(f"gamma {g}", {"gamma": g}) for g in (0.0, 0.25, 0.5, 0.75, 1.0))
MARGINS = tuple(Variant(f"xi {x}", losses={"margin_xi": x}) for x in (0.75, 0.8, 0.85, 0.9, 0.95))
DECISIONS = (
    FULL,
    Variant("D1: one latent token, the paper's", {"latent_tokens": 1}),
    Variant("D3: maximum for S_local", {"local_topk": 1}),
    Variant("D3: mean of three cells for S_local", {"local_topk": 3}),
    Variant("D4: focal loss on the levels' maps alone", losses={"focal_mixed": 0.0}),
    Variant("D4: focal loss on P_map alone", losses={"focal_levels": 0.0}),
    Variant("D4: with Dice", losses={"dice": 1.0}),
    Variant("D11: blocks over all of ViT-L's depth", {"dino_blocks": (6, 12, 18, 24)}),
    Variant("D16: without rarity experts", {"rarity_experts": False}),
)

TABLES: Mapping[str, tuple[Variant, ...]] = {
    "1": (STATIC, LINEAR, FULL),
    "2": (FULL,),
    "3": MODULES,
    "4": ALIGNMENT,
    "5": TOWERS,
    "gamma": GAMMAS,
    "xi": MARGINS,
    "decisions": DECISIONS,
}


def variants_of(table: str, base: SSVPConfig) -> tuple[Variant, ...]:
    """Return a table's rows for a base model: of the decisions, those that it takes otherwise and can take."""
    if table != "decisions":
        return TABLES[table]
    return tuple(v for v in DECISIONS if v is FULL or _changes(v, base))


def _changes(variant: Variant, base: SSVPConfig) -> bool:
    blocks = variant.changes.get("dino_blocks")  # of a ViT-L, as many as there are levels
    if blocks and ("vit_large" not in base.dino_model or len(blocks) != len(base.dino_blocks)):
        return False
    return variant.config(base) != base or bool(variant.losses)
