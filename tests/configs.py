"""Small models for tests: a pair of ViTs beside ssvp-nano's towers, and a very small ssvp-nano."""

from dataclasses import replace

from model.config import SSVP_NANO, SSVPConfig

TINY_VIT = SSVPConfig(
    name="tiny-vit",
    clip_model="tiny-vit-clip",
    clip_config={
        "embed_dim": 32,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 56,
            "layers": 4,
            "width": 48,
            "head_width": 16,
            "patch_size": 14,
        },
        "text_cfg": {
            "context_length": 24,
            "vocab_size": 600,
            "width": 32,
            "heads": 2,
            "layers": 2,
        },
    },
    clip_size_px=56,
    clip_blocks=(2, 4),
    dino_model="vit_small_patch16_dinov3",
    dino_kwargs={"embed_dim": 48, "depth": 4, "num_heads": 2},
    dino_size_px=64,
    dino_blocks=(1, 3),
    grid=4,
    map_size_px=56,
    attention_heads=4,
    background_tokens=2,
    state_tokens=2,
    latent_width=8,
    latent_tokens=4,
    smoothing_sigma_px=1.0,
)

MICRO = replace(
    SSVP_NANO,
    name="micro",
    clip_config={
        "embed_dim": 16,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 4, "head_width": 16},
        "text_cfg": {"context_length": 24, "vocab_size": 600, "width": 16, "heads": 2, "layers": 1},
    },
    clip_size_px=64,
    dino_kwargs={"depths": [1, 1, 1, 1], "dims": [4, 8, 8, 16]},
    dino_size_px=64,
    grid=8,
    map_size_px=64,
    rarity_width=4,
)
