"""The paper's heads, at their full width, learn eight images by heart: the objective reaches everything."""

from dataclasses import replace

import torch

from model.assembly import SSVP
from model.config import SSVP_LARGE
from model.data.images import ImageBatch, procedural_images
from model.data.stream import StreamConfig
from model.losses import LossWeights
from model.preprocess import TowerImages
from model.tokens import tokens_of
from model.train import TrainConfig, build_optimizer, train_step

# ssvp-large in all but the number of cells and the depth of its random towers: 37 x 37 cells would take a CPU
# an hour.
SMALL_IMAGES = replace(
    SSVP_LARGE,
    name="ssvp-large-112",
    clip_config={
        "embed_dim": 768,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 112, "layers": 4, "width": 1024, "patch_size": 14},
        "text_cfg": {"vocab_size": 49408, "width": 768, "heads": 12, "layers": 2},
    },
    clip_size_px=112,
    clip_blocks=(1, 2, 3, 4),
    dino_kwargs={"depth": 4},
    dino_size_px=128,
    dino_blocks=(1, 2, 3, 4),
    grid=8,
    map_size_px=112,
)
STEPS = 40
CPU = torch.device("cpu")


def _eight_images() -> ImageBatch:
    """Return four normal and four anomalous images, no two of the same scene.

    Random towers see hardly any difference between the class tokens of twins.
    """
    stream = StreamConfig(
        seed=0, size_px=128, pairs_per_batch=8, first_pair=0, batches=1, workers=0
    )
    batch = next(procedural_images(stream, SMALL_IMAGES))
    chosen = [2 * pair + pair % 2 for pair in range(8)]
    images = TowerImages(batch.images.clip[chosen], batch.images.dino[chosen])
    return ImageBatch(images, batch.masks[chosen], [batch.products[i] for i in chosen])


def test_large_heads_on_random_towers_learn_eight_images_by_heart() -> None:
    """The whole loss falls below a tenth of its start."""
    torch.manual_seed(0)
    model = SSVP(SMALL_IMAGES).train()
    tokens = tokens_of(model, _eight_images(), CPU)
    recipe = TrainConfig(head_learning_rate=7e-4, prompt_learning_rate=3.5e-3)
    optimizer = build_optimizer(model, recipe)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"]
    losses: list[float] = []
    while len(losses) < STEPS and (not losses or losses[-1] >= 0.1 * losses[0]):
        step = train_step(model, tokens, tokens.products, optimizer, LossWeights())
        losses.append(step["total"])
    assert losses[-1] < 0.1 * losses[0], losses
