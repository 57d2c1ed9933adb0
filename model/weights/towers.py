"""Fit published weights to our towers, whoever named them: open_clip, OpenAI, timm or Meta.

Names are translated by open_clip and timm where they can. Knows state dicts and towers; knows no network.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from open_clip.model import resize_pos_embed, resize_text_pos_embed
from timm.models import convnext, eva, vision_transformer
from torch import nn

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.checkpoint import resized_attention_pool
from model.weights.files import StateDict, WeightsError, read_weights

OPENAI_FACTS = ("input_resolution", "context_length", "vocab_size")  # numbers, no weights
SHOWN = 4


def load_clip(tower: ClipTower, path: Path) -> None:
    """Fill a CLIP tower from a file, its position embeddings resized to the tower's image size.

    Raises:
        WeightsError: the file cannot be read, or is of another model.
    """
    state = {k: v for k, v in read_weights(path).items() if k not in OPENAI_FACTS}
    _load(tower.model, _fitted(state, lambda s: _clip_resized(s, tower.model)), path)


def load_dino(tower: DinoTower, path: Path) -> None:
    """Fill a structure tower from a file with timm's names or Meta's own.

    Beside DINOv3 it may be any ViT or ConvNeXt of timm; a plain ViT's position embeddings are resized.

    Raises:
        WeightsError: the file cannot be read, or is of another model.
    """
    state = _fitted(read_weights(path), lambda s: _dino_translated(s, tower.model, path))
    kept = {k: v for k, v in state.items() if not k.startswith("head.fc.")}
    _load(tower.model, kept, path)


def _fitted(state: StateDict, fit: Callable[[StateDict], StateDict]) -> StateDict:
    """Translate and resize; what is of another model stays as it is, and `_load` says how it differs.

    Each library stumbles over another model's weights in its own way.
    """
    try:
        return fit(dict(state))
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return state


def _clip_resized(state: StateDict, model: nn.Module) -> StateDict:
    resize_pos_embed(state, model)
    resize_text_pos_embed(state, model)
    return resized_attention_pool(state, model)


def _dino_translated(state: StateDict, model: nn.Module, path: Path) -> StateDict:
    translated: StateDict = state
    if "storage_tokens" in state:
        translated = _meta_transformer(state, model, path)
    elif any(k.startswith("downsample_layers.") for k in state):
        translated = convnext.checkpoint_filter_fn(state, model)
    elif isinstance(model, eva.Eva):
        translated = eva.checkpoint_filter_fn(state, model)
    elif isinstance(model, vision_transformer.VisionTransformer):
        translated = vision_transformer.checkpoint_filter_fn(state, model)
    return translated


def _meta_transformer(state: StateDict, model: Any, path: Path) -> StateDict:
    """Translate Meta's names for a DINOv3 ViT.

    The larger published models have query and value biases of exactly zero, and timm has architectures
    without them; weights whose biases are not zero belong to the ones with.
    """
    has_bias = getattr(model.blocks[0].attn, "q_bias", None) is not None
    kept = dict(state)
    for name, value in state.items():
        if name.endswith("attn.qkv.bias") and not has_bias:
            query, _, values = value.chunk(
                3
            )  # the middle third, of the keys, is masked out by Meta
            if bool(query.any()) or bool(values.any()):
                raise WeightsError(
                    f"{path}: {name} is not zero, so these weights belong to an architecture with biases;"
                    " set dino_model to the name that ends in _qkvb"
                )
            del kept[name]
    translated: StateDict = eva.checkpoint_filter_fn(kept, model)
    return translated


def _load(module: nn.Module, state: StateDict, path: Path) -> None:
    """Load strictly; on a mismatch say which names and shapes differ."""
    wanted = module.state_dict()
    missing = sorted(set(wanted) - set(state))
    unexpected = sorted(set(state) - set(wanted))
    shapes = [
        f"{k} is {list(state[k].shape)}, not {list(wanted[k].shape)}"
        for k in sorted(set(wanted) & set(state))
        if state[k].shape != wanted[k].shape
    ]
    complaints = [
        f"{what}: {_first(names)}"
        for what, names in (
            ("missing", missing),
            ("unknown", unexpected),
            ("of another shape", shapes),
        )
        if names
    ]
    if complaints:
        raise WeightsError(f"{path} does not fit this model; " + "; ".join(complaints))
    module.load_state_dict(state)


def _first(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
