"""Every size and switch of a model in one flat, frozen record, and the presets.

Knows names and numbers only. Anything that distinguishes one model from another stands here: no other
module asks which preset it works for.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

CHOICES = {
    "clip_tokens": ("blocks", "values"),
    "heads": ("ssvp", "static", "linear"),
    "fusion": ("atf", "concat", "none"),
}


@dataclass(frozen=True)
class SSVPConfig:
    """Describe one model completely.

    Blocks are counted from 1, as the paper counts them: transformer blocks of a ViT, stages of a
    convolutional tower. The joint width D is the embedding width of the CLIP model.

    Attributes:
        name: the model's name, also the bundle's.
        clip_model: open_clip architecture name, or a free label where `clip_config` is given.
        clip_config: open_clip model config (`embed_dim`, `vision_cfg`, `text_cfg`, ...); empty: the one
            open_clip registers under `clip_model`.
        clip_weights: open_clip's tag of published weights, `openai`; empty where there are none.
        clip_size_px: side of the square image the CLIP tower sees.
        clip_blocks: blocks whose patch tokens are used, one a level; the last one must be the tower's last.
        clip_mean: per-channel mean of the CLIP tower's input, for values in [0, 1].
        clip_std: per-channel standard deviation, likewise.
        dino_model: timm architecture name.
        dino_weights: timm's tag of published weights, `lvd1689m`; empty where there are none.
        dino_kwargs: constructor arguments that override that architecture's own.
        dino_size_px, dino_blocks, dino_mean, dino_std: as for CLIP; any last block (D11).
        grid: side of the patch grid both towers are brought to.
        clip_tokens: `blocks`, the patch tokens of `clip_blocks`; or `values`, one level of patch tokens that
            lie in the joint space already, see `model.backbones.clip_values`.
        heads: `ssvp`, the method; `static`, fixed prompts and nothing learned; `linear`, one linear map of
            DINO's tokens. The last two are what the method must beat.
        fusion: `atf`, eqs. 2-5; `concat`, one linear map of both towers' tokens; `none`, CLIP's tokens alone.
        refine_prompts: let VCPG move the prompts by what the image shows (eqs. 6-12).
        gate_experts: let VTAM's gates mix the maps (eqs. 15-17); without them the maps' mean is taken.
        attention_heads: heads of the ATF and of the text-latent attention; divides D.
        normal_words: words whose token embeddings start the normal states, one a prompt.
        anomalous_words: likewise for the anomalous states.
        background_tokens: learned vectors V_bg, shared by all prompts.
        state_tokens: learned vectors V_state of each prompt.
        latent_width: width of VCPG's latent z.
        latent_tokens: M of D1, keys and values made from z; 1 is the paper to the letter.
        local_topk: grid cells averaged into S_local, 1 for the maximum of eq. 18 (D3).
        gamma: weight of S_local in S_final, eq. 19.
        temperature: start of the learned softmax temperature tau (D8).
        rarity_experts: add the in-image outlier maps as experts of AnomalyMoE (D16).
        rarity_width: learned width in which rarity is measured, at each level.
        context_layers: layers of a third such expert, which reads cells beside their neighbours; 0: none.
        context_width: their channels.
        map_size_px: side of the anomaly map that leaves the heads.
        smoothing_sigma_px: standard deviation of the Gaussian on that map (D14).
    """

    name: str
    clip_model: str
    clip_size_px: int
    clip_blocks: tuple[int, ...]
    dino_model: str
    dino_size_px: int
    dino_blocks: tuple[int, ...]
    grid: int
    map_size_px: int
    clip_config: Mapping[str, Any] = field(default_factory=dict)
    clip_weights: str = ""
    clip_mean: tuple[float, float, float] = OPENAI_MEAN
    clip_std: tuple[float, float, float] = OPENAI_STD
    dino_kwargs: Mapping[str, Any] = field(default_factory=dict)
    dino_weights: str = ""
    dino_mean: tuple[float, float, float] = IMAGENET_MEAN
    dino_std: tuple[float, float, float] = IMAGENET_STD
    clip_tokens: str = "blocks"
    heads: str = "ssvp"
    fusion: str = "atf"
    refine_prompts: bool = True
    gate_experts: bool = True
    attention_heads: int = 8
    normal_words: tuple[str, ...] = ("flawless", "perfect", "intact")
    anomalous_words: tuple[str, ...] = ("damaged", "defective", "flawed")
    background_tokens: int = 4
    state_tokens: int = 4
    latent_width: int = 256
    latent_tokens: int = 4
    local_topk: int = 1
    gamma: float = 0.5
    temperature: float = 0.07
    rarity_experts: bool = False
    rarity_width: int = 24
    context_layers: int = 0
    context_width: int = 128
    smoothing_sigma_px: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: naming the field.
        """
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}: {getattr(self, name)}")
        if len(self.clip_blocks) != len(self.dino_blocks) or not self.clip_blocks:
            raise ValueError(
                "clip_blocks and dino_blocks must name the same number of levels, at least 1"
            )
        if self.clip_tokens == "values" and self.levels != 1:
            raise ValueError(f"clip_tokens 'values' make one level: {self.clip_blocks}")
        for name in ("clip_blocks", "dino_blocks"):
            blocks = getattr(self, name)
            if list(blocks) != sorted(set(blocks)) or blocks[0] < 1:
                raise ValueError(f"{name} must ascend from 1 or more: {blocks}")
        if not self.normal_words or not self.anomalous_words:
            raise ValueError("normal_words and anomalous_words must each name at least one state")
        if not 0.0 <= self.gamma <= 1.0:
            raise ValueError(f"gamma must lie in [0, 1]: {self.gamma}")
        if not 1 <= self.local_topk <= self.grid**2:
            raise ValueError(f"local_topk must lie in [1, grid^2]: {self.local_topk}")

    @property
    def levels(self) -> int:
        """L, the number of fused levels."""
        return len(self.clip_blocks)

    @property
    def normal_prompts(self) -> int:
        """How many of the prompts describe the normal state; they stand first."""
        return 1 if self.heads == "static" else len(self.normal_words)

    @property
    def uses_dino(self) -> bool:
        """Whether any head reads the DINO tower; where none does, a model has none."""
        if self.heads == "ssvp":
            return self.fusion != "none" or self.rarity_experts
        return self.heads == "linear"

    @property
    def has_half_heads(self) -> bool:
        """Whether the heads have a part whose work is worth doing in half precision on a GPU: ATF."""
        return self.heads == "ssvp" and self.fusion == "atf"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of `from_dict`."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SSVPConfig":
        """Build a config from JSON values.

        Raises:
            ValueError: for unknown or missing fields, by name.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown config fields: {', '.join(unknown)}")
        tupled: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        try:
            return cls(**tupled)
        except TypeError as error:
            raise ValueError(str(error)) from None


SSVP_LARGE = SSVPConfig(
    name="ssvp-large",
    clip_model="ViT-L-14-336-quickgelu",
    clip_weights="openai",
    clip_size_px=518,
    clip_blocks=(6, 12, 18, 24),
    dino_model="vit_large_patch16_dinov3",
    dino_weights="lvd1689m",
    dino_size_px=592,
    dino_blocks=(3, 6, 9, 11),
    grid=37,
    map_size_px=518,
)

SSVP_BASE = replace(
    SSVP_LARGE,
    name="ssvp-base",
    clip_model="ViT-B-16-quickgelu",
    clip_size_px=592,
    clip_blocks=(3, 6, 9, 12),
    dino_model="vit_base_patch16_dinov3",
    dino_blocks=(3, 6, 9, 12),
)

# The structure tower is the cheaper half then: a ConvNeXt's stages in place of a ViT's blocks (D17).
SSVP_FAST = replace(
    SSVP_BASE,
    name="ssvp-fast",
    dino_model="convnext_tiny",
    dino_weights="dinov3_lvd1689m",
    dino_blocks=(1, 2, 3, 4),
)

SSVP_NANO = SSVPConfig(
    name="ssvp-nano",
    clip_model="ssvp-nano-resnet",
    clip_config={
        "embed_dim": 128,
        "vision_cfg": {"image_size": 256, "layers": [1, 2, 2, 1], "width": 16, "head_width": 64},
        "text_cfg": {
            "context_length": 40,
            "vocab_size": 2048,
            "width": 128,
            "heads": 4,
            "layers": 3,
        },
    },
    clip_size_px=256,
    clip_blocks=(1, 2, 3, 4),
    dino_model="convnext_tiny",
    # From scratch kernels of 3 px are as good as 7 and see a sixth more images an hour; a stem of overlapping
    # convolutions and residual branches that start at 0.1, not 1e-6, learn sooner.
    dino_kwargs={
        "depths": [2, 2, 3, 1],
        "dims": [32, 64, 128, 256],
        "kernel_sizes": 3,
        "stem_type": "overlap_act",
        "ls_init_value": 0.1,
    },
    dino_size_px=256,
    dino_blocks=(1, 2, 3, 4),
    grid=16,
    map_size_px=256,
    attention_heads=4,
    background_tokens=2,
    state_tokens=2,
    latent_width=64,
    local_topk=3,
    gamma=1.0,  # class tokens of towers this small know too little: any share of theirs costs
    rarity_experts=True,
    rarity_width=16,
    context_layers=3,
    smoothing_sigma_px=4.0,
)

PRESETS: Mapping[str, SSVPConfig] = {
    c.name: c for c in (SSVP_LARGE, SSVP_BASE, SSVP_FAST, SSVP_NANO)
}
